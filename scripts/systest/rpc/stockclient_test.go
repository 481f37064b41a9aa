package rpc

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	stockclient "github.com/hashicorp/serf/client"

	"agentctl/rpcclient/wire"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
)

// stockClient connects the stock Go client to an agent.
func stockClient(t *testing.T, addr, key string) *stockclient.RPCClient {
	t.Helper()
	c, err := stockclient.ClientFromConfig(&stockclient.Config{Addr: addr, AuthKey: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestStockClient has the stock Go client command two agents of ours.
func TestStockClient(t *testing.T) {
	a := proc.NewAgent(t, "a", "-tag=role=test", "-event-handler=user:none=true", "-config-file="+testkit.WriteFile(t, `{"rpc_auth": "secret"}`))
	b := proc.NewAgent(t, "b", "-tag=role=test", "-event-handler=user:fails=exit 3")
	ca, cb := stockClient(t, a.RPC, "secret"), stockClient(t, b.RPC, "")

	records := make(chan map[string]any, 1024)
	stream, err := cb.Stream("user:kong,query:ask,member-join,member-update", records)
	if err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 4096)
	// Few lines: the stock client closes its channel while it may be sending.
	monitor, err := cb.Monitor("err", lines)
	if err != nil {
		t.Fatal(err)
	}

	if n, err := ca.Join([]string{b.Gossip}, false); n != 1 || err != nil {
		t.Fatalf("join: %d, %v", n, err)
	}
	if n, err := ca.Join([]string{"127.0.0.1:1"}, false); n != 0 || err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("join of nobody: %d, %v", n, err)
	}
	// Members that join within a second or so are in one record.
	rec := receive(t, records)
	for rec["Event"] == "member-join" && !slices.Contains(names(t, rec), "a") {
		rec = receive(t, records)
	}
	if rec["Event"] != "member-join" {
		t.Fatalf("record %v, want the join of a", rec)
	}
	if err := cb.UserEvent("fails", nil, false); err != nil {
		t.Fatal(err)
	}
	for line := ""; !strings.Contains(line, "event handler failed"); {
		if line = receive(t, lines); !strings.Contains(line, "[ERR]") {
			t.Errorf("line %q", line)
		}
	}
	if !strings.Contains(b.Printed(), "EventMemberJoin: a") {
		t.Error("the log has no line that the monitor was to leave out")
	}
	if err := cb.Stop(monitor); err != nil {
		t.Error(err)
	}

	members, err := ca.Members()
	if err != nil || len(members) != 2 {
		t.Fatalf("members: %v, %v", members, err)
	}
	members, err = ca.MembersFiltered(map[string]string{"role": "te.*"}, "alive", "b")
	if err != nil || len(members) != 1 || members[0].Name != "b" || members[0].Tags["role"] != "test" ||
		!strings.HasSuffix(b.Gossip, fmt.Sprint(":", members[0].Port)) {
		t.Fatalf("members: %v, %v", members, err)
	}
	if _, err = ca.MembersFiltered(nil, "", "("); err == nil || !strings.Contains(err.Error(), "Failed to compile regex") {
		t.Errorf("bad expression: %v", err)
	}

	payload := []byte("a\x00\xff\n")
	if err := ca.UserEvent("kong", payload, false); err != nil {
		t.Fatal(err)
	}
	if err := ca.UserEvent("kong", make([]byte, 70_000), false); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("large event: %v", err)
	}
	rec = receive(t, records)
	if got, ok := rec["Payload"].([]byte); rec["Event"] != "user" || !ok || !bytes.Equal(got, payload) || rec["Name"] != "kong" || rec["Coalesce"] != false {
		t.Errorf("record %v", rec)
	}

	if err := ca.UpdateTags(map[string]string{"new": "tag"}, []string{"role"}); err != nil {
		t.Fatal(err)
	}
	if rec := receive(t, records); rec["Event"] != "member-update" {
		t.Errorf("record %v", rec)
	}
	testkit.WaitFor(t, "the tags reach b", func() bool {
		m, err := cb.MembersFiltered(map[string]string{"new": "tag", "role": ""}, "", "a")
		return err == nil && len(m) == 1
	})

	askAndRespond(t, ca, cb, records)

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
	if status, err := b.Exit(); status != 0 || err != nil {
		t.Errorf("b ended with status %d, %v", status, err)
	}
	testkit.WaitFor(t, "a sees b go", func() bool {
		m, err := ca.MembersFiltered(nil, "left|failed", "b")
		return err == nil && len(m) == 1
	})
	if err := ca.ForceLeavePrune("b"); err != nil {
		t.Error(err)
	}
	testkit.WaitFor(t, "b is forgotten", func() bool { m, err := ca.Members(); return err == nil && len(m) == 1 })
}

// askAndRespond asks from one client and responds from the other.
func askAndRespond(t *testing.T, ask, respond *stockclient.RPCClient, records <-chan map[string]any) {
	t.Helper()
	acks, answers := make(chan string, 10), make(chan stockclient.NodeResponse, 10)
	err := ask.Query(&stockclient.QueryParam{
		FilterNodes: []string{"b"}, RequestAck: true, Timeout: 3 * time.Second,
		Name: "ask", Payload: []byte("what"), AckCh: acks, RespCh: answers,
	})
	if err != nil {
		t.Fatal(err)
	}
	rec := receive(t, records)
	if rec["Event"] != "query" || string(rec["Payload"].([]byte)) != "what" {
		t.Fatalf("record %v", rec)
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
	testkit.WaitFor(t, "the deadline at the other node too", func() bool {
		err := respond.Respond(id, nil)
		return err != nil && err.Error() == wire.ErrInvalidQueryID
	})
	if err := ask.Query(&stockclient.QueryParam{Name: "_serf_x"}); err == nil {
		t.Error("an internal query was let through")
	}
}

// names are the members in a record.
func names(t *testing.T, rec map[string]any) (list []string) {
	t.Helper()
	members, ok := rec["Members"].([]any)
	if !ok || len(members) == 0 {
		t.Fatalf("record %v has no members", rec)
	}
	for _, m := range members {
		fields, _ := m.(map[any]any)
		name, _ := fields["Name"].(string)
		list = append(list, name)
	}
	return list
}

// receive waits for a value, or for c to be closed, with patience.
func receive[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(testkit.Patience):
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
