package rpc

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	stock "github.com/hashicorp/serf/client"
	"github.com/hashicorp/serf/serf"

	"agentctl/rpcclient/wire"
)

// stockClient connects the stock Go client to a server of a.
func stockClient(t *testing.T, a agent, key string) *stock.RPCClient {
	t.Helper()
	_, dial := loopback(t, a, Config{AuthKey: key})
	conn := dial()
	addr := conn.RemoteAddr().String()
	conn.Close()
	c, err := stock.ClientFromConfig(&stock.Config{Addr: addr, AuthKey: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestStockClient(t *testing.T) {
	a, b := newSerfAgent(t, "a", nil), newSerfAgent(t, "b", nil)
	ca, cb := stockClient(t, a, "secret"), stockClient(t, b, "")

	records := make(chan map[string]any, 1024)
	stream, err := cb.Stream("user:kong,query,member-join,member-update", records)
	if err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 4096)
	// Few lines: the stock client closes its channel while it may be sending.
	monitor, err := cb.Monitor("err", lines)
	if err != nil {
		t.Fatal(err)
	}

	if n, err := ca.Join([]string{b.addr()}, false); n != 1 || err != nil {
		t.Fatalf("join: %d, %v", n, err)
	}
	if n, err := ca.Join([]string{"127.0.0.1:1"}, false); n != 0 || err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("join of nobody: %d, %v", n, err)
	}
	if rec := receive(t, records); rec["Event"] != "member-join" || len(rec["Members"].([]any)) != 1 {
		t.Fatalf("record %v", rec)
	}
	b.fan.log("2026/11/23 10:00:00 [WARN] serf: not this")
	b.fan.log("2026/11/23 10:00:00 [ERR] serf: but this")
	for line := receive(t, lines); !strings.HasSuffix(line, "but this"); line = receive(t, lines) {
		if strings.Contains(line, "not this") {
			t.Errorf("line %q", line)
		}
	}
	if err := cb.Stop(monitor); err != nil {
		t.Error(err)
	}

	members, err := ca.Members()
	if err != nil || len(members) != 2 {
		t.Fatalf("members: %v, %v", members, err)
	}
	members, err = ca.MembersFiltered(map[string]string{"role": "te.*"}, "alive", "b")
	if err != nil || len(members) != 1 || members[0].Name != "b" || members[0].Port != b.LocalMember().Port || members[0].Tags["role"] != "test" {
		t.Fatalf("members: %v, %v", members, err)
	}
	if _, err = ca.MembersFiltered(nil, "", "("); err == nil || !strings.Contains(err.Error(), "Failed to compile regex") {
		t.Errorf("bad expression: %v", err)
	}

	payload := []byte("a\x00\xff\n")
	if err := ca.UserEvent("kong", payload, false); err != nil {
		t.Fatal(err)
	}
	if err := ca.UserEvent("kong", make([]byte, 10_000), false); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("large event: %v", err)
	}
	rec := receive(t, records)
	if got, ok := rec["Payload"].([]byte); rec["Event"] != "user" || !ok || !bytes.Equal(got, payload) || rec["Name"] != "kong" || rec["Coalesce"] != false {
		t.Errorf("record %v", rec)
	}

	if err := ca.UpdateTags(map[string]string{"new": "tag"}, []string{"role"}); err != nil {
		t.Fatal(err)
	}
	if rec := receive(t, records); rec["Event"] != "member-update" {
		t.Errorf("record %v", rec)
	}
	waitFor(t, "the tags to reach b", func() bool {
		m, err := cb.MembersFiltered(map[string]string{"new": "tag", "role": ""}, "", "a")
		return err == nil && len(m) == 1
	})

	testStockQuery(t, ca, cb, records)

	if err := cb.Stop(stream); err != nil {
		t.Error(err)
	}
	stats, err := ca.Stats()
	if err != nil || stats["agent"]["name"] != "a" || stats["serf"]["members"] != "2" {
		t.Errorf("stats: %v, %v", stats, err)
	}
	if coord, err := ca.GetCoordinate("a"); err != nil || coord == nil || len(coord.Vec) == 0 {
		t.Errorf("coordinate: %v, %v", coord, err)
	}
	if coord, err := ca.GetCoordinate("nobody"); err != nil || coord != nil {
		t.Errorf("coordinate of nobody: %v, %v", coord, err)
	}
	if _, err := ca.InstallKey("x"); err == nil {
		t.Error("a key was installed without a keyring")
	}
	if err := ca.ForceLeave("nobody"); err != nil {
		t.Error(err)
	}
	if err := cb.Leave(); err != nil {
		t.Error(err)
	}
	receive(t, b.down)
	b.Serf.Shutdown()
	waitFor(t, "a to see b go", func() bool {
		m, err := ca.MembersFiltered(nil, "left|failed", "b")
		return err == nil && len(m) == 1
	})
	if err := ca.ForceLeavePrune("b"); err != nil {
		t.Error(err)
	}
	waitFor(t, "b to be forgotten", func() bool { m, err := ca.Members(); return err == nil && len(m) == 1 })
}

// A warning goes with the answer: our client hears it, and stock's passes over
// it.
func TestWarningOfAPublish(t *testing.T) {
	a := &fakeAgent{warning: "some get none"}
	theirs := stockClient(t, a, "")
	for range 2 { // the second answer is found behind the first
		if err := theirs.UserEvent("e", nil, false); err != nil {
			t.Errorf("the stock client: %v", err)
		}
	}
	_, dial := loopback(t, a, Config{})
	c := newClient(t, dial()).handshake()
	for _, test := range []struct {
		cmd  wire.Command
		req  any
		want string
	}{
		{wire.Event, wire.EventRequest{Name: "e"}, "some get none"},
		{wire.Stop, wire.StopRequest{Stop: 1}, ""}, // what comes behind it has nothing of it
	} {
		seq := c.send(test.cmd, test.req)
		var h wire.ResponseHeader
		c.read(&h)
		if h != (wire.ResponseHeader{Seq: seq, Warning: test.want}) {
			t.Errorf("%s is answered %+v, want the warning %q", test.cmd, h, test.want)
		}
	}
}

// testStockQuery asks from one client and responds from the other.
func testStockQuery(t *testing.T, ask, respond *stock.RPCClient, records <-chan map[string]any) {
	t.Helper()
	acks, answers := make(chan string, 10), make(chan stock.NodeResponse, 10)
	err := ask.Query(&stock.QueryParam{
		FilterNodes: []string{"b"}, RequestAck: true, Timeout: 5 * time.Second,
		Name: "ask", Payload: []byte("what"), AckCh: acks, RespCh: answers,
	})
	if err != nil {
		t.Fatal(err)
	}
	rec := receive(t, records)
	for rec["Event"] != "query" {
		rec = receive(t, records)
	}
	if string(rec["Payload"].([]byte)) != "what" {
		t.Errorf("record %v", rec)
	}
	id := number(t, rec["ID"])
	if err := respond.Respond(id, []byte("that\x00")); err != nil {
		t.Errorf("respond: %v", err)
	}
	if err := respond.Respond(id, []byte("again")); err == nil || !strings.Contains(err.Error(), "already sent") {
		t.Errorf("second response: %v", err)
	}
	if err := respond.Respond(id+1, nil); err == nil || err.Error() != wire.ErrInvalidQueryID {
		t.Errorf("response to nothing: %v", err)
	}
	if from := receive(t, acks); from != "b" {
		t.Errorf("ack from %q", from)
	}
	if r := receive(t, answers); r.From != "b" || string(r.Payload) != "that\x00" {
		t.Errorf("response %q", r)
	}
	for range answers { // until the done record
		t.Error("a second response")
	}
	waitFor(t, "the deadline at the other node too", func() bool {
		err := respond.Respond(id, nil)
		return err != nil && err.Error() == wire.ErrInvalidQueryID
	})
	if err := ask.Query(&stock.QueryParam{Name: serf.InternalQueryPrefix + "x"}); err == nil {
		t.Error("an internal query was let through")
	}
}

func TestStockClientKeys(t *testing.T) {
	key := func(b byte) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, 32)) }
	a := newSerfAgent(t, "a", bytes.Repeat([]byte{1}, 32))
	c := stockClient(t, a, "")
	for _, step := range []struct {
		do   func(string) (map[string]string, error)
		key  string
		fail string
		keys []string // afterwards
	}{
		{c.InstallKey, key(2), "", []string{key(1), key(2)}},
		{c.UseKey, key(2), "", []string{key(1), key(2)}},
		{c.UseKey, key(3), "1/1 nodes reported failure", []string{key(1), key(2)}},
		{c.RemoveKey, key(1), "", []string{key(2)}},
		{c.InstallKey, "???", "illegal base64", []string{key(2)}},
	} {
		messages, err := step.do(step.key)
		if (err == nil) != (step.fail == "") || err != nil && !strings.Contains(err.Error(), step.fail) {
			t.Errorf("%v: %v, want %q", messages, err, step.fail)
		}
		if strings.Contains(step.fail, "reported") && messages["a"] == "" {
			t.Errorf("the failing node says nothing: %v", messages)
		}
		keys, nodes, _, err := c.ListKeys()
		var got []string
		for k := range keys {
			got = append(got, k)
		}
		slices.Sort(got)
		if err != nil || nodes != 1 || !slices.Equal(got, step.keys) {
			t.Errorf("keys %v on %d nodes (%v), want %v", keys, nodes, err, step.keys)
		}
	}
}

// The stock client's errors are the protocol's.
func TestStockClientAuth(t *testing.T) {
	a := &fakeAgent{}
	stockClient(t, a, "secret")
	_, dial := loopback(t, a, Config{AuthKey: "secret"})
	addr := dial().RemoteAddr().String()
	if _, err := stock.ClientFromConfig(&stock.Config{Addr: addr, AuthKey: "wrong"}); err == nil || err.Error() != wire.ErrInvalidAuthToken {
		t.Errorf("wrong key: %v", err)
	}
	c, err := stock.ClientFromConfig(&stock.Config{Addr: addr})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Members(); err == nil || err.Error() != wire.ErrAuthRequired {
		t.Errorf("no key: %v", err)
	}
	if err := c.UserEvent("x", []byte("y"), false); err == nil || err.Error() != wire.ErrAuthRequired {
		t.Errorf("no key: %v", err)
	}
}

// receive waits for a value, or for c to be closed, with patience.
func receive[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(time.Minute):
		t.Fatalf("no %T came", v)
	}
	return v
}

// number returns an integer of whatever type the stock client made of it.
func number(t *testing.T, v any) uint64 {
	t.Helper()
	switch v := v.(type) {
	case int64:
		return uint64(v)
	case uint64:
		return v
	}
	t.Fatalf("%T is no number", v)
	return 0
}
