package rpc

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	stock "github.com/hashicorp/serf/client"

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

// What the publisher is told goes with the answer: our client hears it, and stock's
// passes over it.
func TestWhatAPublisherIsTold(t *testing.T) {
	told := Published{Warning: "some get none", ID: "5-0f4b3224a0bfdf43", HTTPAddr: "127.0.0.1:7374"}
	a := &fakeAgent{sent: told}
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
		want Published
	}{
		{wire.Event, wire.EventRequest{Name: "e"}, told},
		{wire.Stop, wire.StopRequest{Stop: 1}, Published{}}, // what comes behind it has nothing of it
	} {
		seq := c.send(test.cmd, test.req)
		var h wire.ResponseHeader
		c.read(&h)
		if h != (wire.ResponseHeader{Seq: seq, Warning: test.want.Warning, ID: test.want.ID, HTTPAddr: test.want.HTTPAddr}) {
			t.Errorf("%s is answered %+v, want %+v", test.cmd, h, test.want)
		}
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
