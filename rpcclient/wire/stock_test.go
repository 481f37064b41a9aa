package wire_test

import (
	"bytes"
	"net"
	"testing"
	"time"

	stockclient "github.com/hashicorp/serf/client"

	"agentctl/rpcclient/wire"
	"agentctl/rpcclient/wire/wiretest"
)

// TestSameBytesAsStockClient has the stock client send every command to a
// listener that says yes to each, and compares what it sent with what this
// package makes of the same request. Maps have one entry: more come in any
// order.
func TestSameBytesAsStockClient(t *testing.T) {
	type request struct {
		cmd  wire.Command
		body any
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	sent := make(chan []byte, 1)
	go func() {
		var all []byte
		defer func() { sent <- all }()
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		r, w := wire.NewReader(conn, wire.DefaultLimits), wire.NewWriter(conn)
		for {
			var h wire.RequestHeader
			if r.Read(&h) != nil {
				return
			}
			all = append(all, r.Value()...)
			if h.Command.HasRequest() {
				if r.Read(nil) != nil {
					return
				}
				all = append(all, r.Value()...)
			}
			var body any
			if h.Command.HasResponse() {
				body = map[string]int{}
			}
			if w.Write(wire.ResponseHeader{Seq: h.Seq}, body) != nil {
				return
			}
		}
	}()

	c, err := stockclient.ClientFromConfig(&stockclient.Config{Addr: ln.Addr().String(), AuthKey: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	want := []request{{wire.Handshake, wire.HandshakeRequest{Version: wire.Version}}, {wire.Auth, wire.AuthRequest{AuthKey: "secret"}}}
	do := func(err error, cmd wire.Command, body any) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, request{cmd, body})
	}
	do(c.UserEvent("deploy", []byte("v1"), true), wire.Event, wire.EventRequest{Name: "deploy", Payload: []byte("v1"), Coalesce: true})
	for _, n := range []int{0, 31, 32, 255, 256, 70000} { // each has a length of its own form
		payload := make([]byte, n)
		do(c.UserEvent(string(payload), payload, false), wire.Event, wire.EventRequest{Name: string(payload), Payload: payload})
	}
	do(c.UserEvent("", nil, false), wire.Event, wire.EventRequest{})
	do(c.ForceLeave("a"), wire.ForceLeave, wire.ForceLeaveRequest{Node: "a"})
	do(c.ForceLeavePrune("a"), wire.ForceLeave, wire.ForceLeaveRequest{Node: "a", Prune: true})
	_, err = c.Join([]string{"a:1", "b:2"}, true)
	do(err, wire.Join, wire.JoinRequest{Existing: []string{"a:1", "b:2"}, Replay: true})
	_, err = c.Members()
	do(err, wire.Members, nil)
	_, err = c.MembersFiltered(map[string]string{"role": "web"}, "alive", "n.*")
	do(err, wire.MembersFiltered, wire.MembersFilteredRequest{Tags: map[string]string{"role": "web"}, Status: "alive", Name: "n.*"})
	do(c.UpdateTags(map[string]string{"a": "b"}, []string{"c"}), wire.Tags, wire.TagsRequest{Tags: map[string]string{"a": "b"}, DeleteTags: []string{"c"}})
	do(c.Respond(1<<40, []byte("r")), wire.Respond, wire.RespondRequest{ID: 1 << 40, Payload: []byte("r")})
	_, err = c.InstallKey("k")
	do(err, wire.InstallKey, wire.KeyRequest{Key: "k"})
	_, err = c.UseKey("k")
	do(err, wire.UseKey, wire.KeyRequest{Key: "k"})
	_, err = c.RemoveKey("k")
	do(err, wire.RemoveKey, wire.KeyRequest{Key: "k"})
	_, _, _, err = c.ListKeys()
	do(err, wire.ListKeys, nil)
	_, err = c.Stats()
	do(err, wire.Stats, nil)
	_, err = c.GetCoordinate("a")
	do(err, wire.GetCoordinate, wire.CoordinateRequest{Node: "a"})
	_, err = c.Stream("user:kong", make(chan map[string]any, 1))
	do(err, wire.Stream, wire.StreamRequest{Type: "user:kong"})
	handle, err := c.Monitor("DEBUG", make(chan string, 1))
	do(err, wire.Monitor, wire.MonitorRequest{LogLevel: "DEBUG"})
	do(c.Stop(handle), wire.Stop, wire.StopRequest{Stop: uint64(handle)})
	do(c.Query(&stockclient.QueryParam{FilterNodes: []string{"a"}, FilterTags: map[string]string{"b": "c"}, RequestAck: true,
		RelayFactor: 3, Timeout: 90 * time.Second, Name: "load", Payload: []byte("p")}),
		wire.Query, wire.QueryRequest{FilterNodes: []string{"a"}, FilterTags: map[string]string{"b": "c"}, RequestAck: true,
			RelayFactor: 3, Timeout: 90 * time.Second, Name: "load", Payload: []byte("p")})
	do(c.Leave(), wire.Leave, nil)
	c.Close()

	got := <-sent
	for i, r := range want {
		var ours bytes.Buffer
		if err := wire.NewWriter(&ours).Write(wire.RequestHeader{Command: r.cmd, Seq: uint64(i + 1)}, r.body); err != nil {
			t.Fatal(err)
		}
		n := min(ours.Len(), len(got))
		if !bytes.Equal(got[:n], ours.Bytes()) {
			t.Fatalf("%s: stock sends %x (%s), we %x", r.cmd, got[:n], wiretest.Render(got[:n]), ours.Bytes())
		}
		got = got[n:]
	}
	if len(got) > 0 {
		t.Errorf("stock sends %x more", got)
	}
}
