package rpc

import (
	"testing"
	"time"

	stockclient "github.com/hashicorp/serf/client"

	"agentctl/rpcclient/wire"
	"agentctl/scripts/testkit/proc"
)

// conversations are one for each thing that can be seen on the wire; config is
// the file of an agent with an auth key.
func conversations(config string) []conversation {
	type client = *stockclient.RPCClient
	type agent = *proc.Node
	auth, authArgs := map[string]string{"auth-key": "secret"}, []string{"-config-file", config}
	encrypt, encryptArgs := map[string]string{"encrypt": proc.FirstKey}, []string{"-encrypt", proc.FirstKey}
	tags, tagArgs := map[string]string{"tags": "role=web"}, []string{"-tag", "role=web"}

	return []conversation{
		{"handshake", "nothing but a handshake", nil, nil,
			with("", func(t *testing.T, c client, _ agent) {})},
		{"auth", "handshake, auth and a command that needs both", auth, authArgs,
			with("secret", func(t *testing.T, c client, _ agent) {
				must(t, c.UserEvent("deploy", []byte("v1"), false))
			})},
		{"auth-wrong", "a wrong auth key", auth, authArgs,
			func(t *testing.T, proxy string, _ agent) {
				_, err := stockclient.ClientFromConfig(&stockclient.Config{Addr: proxy, AuthKey: "guess"})
				mustFail(t, err, wire.ErrInvalidAuthToken)
			}},
		{"auth-missing", "commands without the auth that the agent asks for: no response body follows", auth, authArgs,
			with("", func(t *testing.T, c client, _ agent) {
				_, err := c.Members()
				mustFail(t, err, wire.ErrAuthRequired)
				_, err = c.Stats()
				mustFail(t, err, wire.ErrAuthRequired)
			})},
		{"auth-missing-twice", "a fault of stock agents: they take the body of an unauthenticated request for a request and answer twice", auth, authArgs,
			raw(func(w *wire.Writer) error {
				w.Write(wire.RequestHeader{Command: wire.Handshake, Seq: 1}, wire.HandshakeRequest{Version: 1})
				return w.Write(wire.RequestHeader{Command: wire.Event, Seq: 2}, wire.EventRequest{Name: "deploy"})
			})},
		{"event", "user events: with payload, coalescing, without payload, too large", nil, nil,
			with("", func(t *testing.T, c client, _ agent) {
				must(t, c.UserEvent("deploy", []byte(`{"version":"1.2.3"}`), false))
				must(t, c.UserEvent("deploy", []byte("\x00\xff"), true))
				must(t, c.UserEvent("empty", nil, false))
				mustFail(t, c.UserEvent("large", make([]byte, 600), false), "limit")
			})},
		{"members", "the list of members", tags, tagArgs,
			with("", func(t *testing.T, c client, _ agent) {
				_, err := c.Members()
				must(t, err)
			})},
		{"members-filtered", "by tag, status and name; then one that matches nothing", tags, tagArgs,
			with("", func(t *testing.T, c client, _ agent) {
				_, err := c.MembersFiltered(map[string]string{"role": "w.*"}, "alive", "node[0-9]")
				must(t, err)
				_, err = c.MembersFiltered(nil, "", "node")
				must(t, err)
			})},
		{"members-filtered-bad", "a bad regular expression: stock agents close without an answer", nil, nil,
			with("", func(t *testing.T, c client, _ agent) {
				_, err := c.MembersFiltered(nil, "", "a[")
				mustFail(t, err, "client closed")
			})},
		{"join", "one address that answers; then one that does not", nil, nil,
			with("", func(t *testing.T, c client, a agent) {
				_, err := c.Join([]string{a.Gossip}, true)
				must(t, err)
				_, err = c.Join([]string{"127.0.0.1:1"}, false)
				mustFail(t, err, "refused")
			})},
		{"force-leave", "an unknown node, without and with prune", nil, nil,
			with("", func(t *testing.T, c client, _ agent) {
				must(t, c.ForceLeave("nobody"))
				must(t, c.ForceLeavePrune("nobody"))
			})},
		{"leave", "the answer comes when the agent has left; then it shuts down", nil, nil,
			with("", func(t *testing.T, c client, _ agent) { must(t, c.Leave()) })},
		{"stream", "a user event, a query that is responded to, a member event; then stop", tags, tagArgs, with("", talkStream)},
		{"query", "an ack, a response and done", nil, nil, with("", talkQuery)},
		{"keys", "install, use, remove, list; then an unknown key", encrypt, encryptArgs,
			with("", func(t *testing.T, c client, _ agent) {
				_, err := c.InstallKey(proc.SecondKey)
				must(t, err)
				_, err = c.UseKey(proc.SecondKey)
				must(t, err)
				_, err = c.RemoveKey(proc.FirstKey)
				must(t, err)
				_, _, _, err = c.ListKeys()
				must(t, err)
				_, err = c.UseKey(proc.FirstKey)
				mustFail(t, err, "1/1")
			})},
		{"keys-plain", "key commands to an agent without encryption", nil, nil,
			with("", func(t *testing.T, c client, _ agent) {
				_, _, _, err := c.ListKeys()
				mustFail(t, err, "1/1")
				_, err = c.InstallKey(proc.SecondKey)
				mustFail(t, err, "1/1")
			})},
		{"tags", "set and delete", tags, tagArgs,
			with("", func(t *testing.T, c client, _ agent) {
				must(t, c.UpdateTags(map[string]string{"dc": "east"}, []string{"role"}))
				_, err := c.Members()
				must(t, err)
			})},
		{"get-coordinate", "of the agent's own node; then of an unknown one", nil, nil,
			with("", func(t *testing.T, c client, _ agent) {
				_, err := c.GetCoordinate("node1")
				must(t, err)
				_, err = c.GetCoordinate("nobody")
				must(t, err)
			})},
		{"stats", "the statistics", nil, nil,
			with("", func(t *testing.T, c client, _ agent) {
				_, err := c.Stats()
				must(t, err)
			})},
		{"monitor", "the recent log lines and then stop", nil, nil, with("", talkMonitor)},
		{"stop", "a Seq that names no stream is no error", nil, nil,
			with("", func(t *testing.T, c client, _ agent) { must(t, c.Stop(77)) })},
		{"errors", "refusals after which the connection goes on", nil, nil,
			with("", func(t *testing.T, c client, _ agent) {
				_, err := c.Stream("nonsense", make(chan map[string]any, 1))
				mustFail(t, err, wire.ErrInvalidFilter)
				_, err = c.Monitor("loud", make(chan string, 1))
				mustFail(t, err, "Unknown log level: LOUD")
				mustFail(t, c.Respond(99, nil), wire.ErrInvalidQueryID)
				mustFail(t, c.Query(&stockclient.QueryParam{Name: "q", Payload: make([]byte, 1100)}), "limit")
			})},
		{"handshake-twice", "the second handshake and a version that does not exist: both are answered", nil, nil,
			raw(func(w *wire.Writer) error {
				w.Write(wire.RequestHeader{Command: wire.Handshake, Seq: 1}, wire.HandshakeRequest{Version: 9})
				w.Write(wire.RequestHeader{Command: wire.Handshake, Seq: 2}, wire.HandshakeRequest{Version: 1})
				return w.Write(wire.RequestHeader{Command: wire.Handshake, Seq: 3}, wire.HandshakeRequest{Version: 1})
			})},
		{"handshake-missing", "a command before the handshake: an answer, and the agent closes", nil, nil,
			raw(func(w *wire.Writer) error { return w.Write(wire.RequestHeader{Command: wire.Members, Seq: 1}, nil) })},
		{"unsupported", "an unknown command: an answer, and the agent closes", nil, nil,
			raw(func(w *wire.Writer) error {
				w.Write(wire.RequestHeader{Command: wire.Handshake, Seq: 1}, wire.HandshakeRequest{Version: 1})
				return w.Write(wire.RequestHeader{Command: "dance", Seq: 2}, nil)
			})},
		{"stream-twice", "two streams under one Seq, and two monitors", nil, nil,
			raw(func(w *wire.Writer) error {
				w.Write(wire.RequestHeader{Command: wire.Handshake, Seq: 1}, wire.HandshakeRequest{Version: 1})
				w.Write(wire.RequestHeader{Command: wire.Stream, Seq: 2}, wire.StreamRequest{Type: "user:none"})
				w.Write(wire.RequestHeader{Command: wire.Stream, Seq: 2}, wire.StreamRequest{Type: "user:none"})
				w.Write(wire.RequestHeader{Command: wire.Monitor, Seq: 3}, wire.MonitorRequest{LogLevel: "err"})
				return w.Write(wire.RequestHeader{Command: wire.Monitor, Seq: 4}, wire.MonitorRequest{LogLevel: "err"})
			})},
	}
}

func talkStream(t *testing.T, c *stockclient.RPCClient, a *proc.Node) {
	other := dial(t, a.RPC, "")
	events := make(chan map[string]any, 8)
	handle, err := c.Stream("user:deploy,query,member-update", events)
	must(t, err)
	_, err = c.GetCoordinate("nobody") // by its answer the agent has subscribed us
	must(t, err)
	must(t, other.Event(t.Context(), "other", nil, false)) // not streamed
	must(t, other.Event(t.Context(), "deploy", []byte("v1"), true))
	<-events
	query, err := other.Query(t.Context(), wire.QueryRequest{Name: "load", Payload: []byte("now"), Timeout: 300 * time.Millisecond})
	must(t, err)
	id := (<-events)["ID"]
	switch id := id.(type) {
	case int64:
		must(t, c.Respond(uint64(id), []byte("1.02")))
	case uint64:
		must(t, c.Respond(id, []byte("1.02")))
	default:
		t.Fatalf("a query's ID: %v", id)
	}
	for _, err := range query {
		must(t, err)
	}
	must(t, other.UpdateTags(t.Context(), map[string]string{"role": "db"}, nil))
	<-events
	must(t, c.Stop(handle))
}

func talkQuery(t *testing.T, c *stockclient.RPCClient, a *proc.Node) {
	other := dial(t, a.RPC, "")
	queries, err := other.Stream(t.Context(), "query")
	must(t, err)
	_, err = other.Stats(t.Context())
	must(t, err)
	acks, responses := make(chan string, 8), make(chan stockclient.NodeResponse, 8)
	must(t, c.Query(&stockclient.QueryParam{
		FilterNodes: []string{"node1"}, RequestAck: true, Timeout: 300 * time.Millisecond,
		Name: "load", Payload: []byte("now"), AckCh: acks, RespCh: responses,
	}))
	for q, err := range queries {
		must(t, err)
		must(t, other.Respond(t.Context(), q.ID, []byte("1.02")))
		break
	}
	for range acks { // until done
	}
	if n := len(responses); n != 1 {
		t.Fatalf("%d responses", n)
	}
}

func talkMonitor(t *testing.T, c *stockclient.RPCClient, _ *proc.Node) {
	lines := make(chan string, 512)
	handle, err := c.Monitor("INFO", lines)
	must(t, err)
	<-lines
	must(t, c.Stop(handle))
}
