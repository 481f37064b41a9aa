package rpc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/serf/coordinate"
	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/rpcclient/wire"
)

var allCommands = []wire.Command{
	wire.Handshake, wire.Auth, wire.Event, wire.ForceLeave, wire.Join, wire.Members, wire.MembersFiltered,
	wire.Stream, wire.Monitor, wire.Stop, wire.Leave, wire.Tags, wire.Query, wire.Respond, wire.InstallKey,
	wire.UseKey, wire.RemoveKey, wire.ListKeys, wire.Stats, wire.GetCoordinate,
}

func TestEveryCommandIsServed(t *testing.T) {
	for _, cmd := range allCommands {
		if commands[cmd] == nil {
			t.Errorf("%s is not served", cmd)
		}
	}
	for cmd := range commands {
		if !cmd.Known() {
			t.Errorf("%s is not a command", cmd)
		}
	}
}

// Each command reaches the agent with its arguments, and its error, and a body
// where clients wait for one, reach the client.
func TestCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var called string
		fail := error(nil)
		call := func(format string, args ...any) error {
			called = fmt.Sprintf(format, args...)
			return fail
		}
		a := &fakeAgent{
			publish: func(_ context.Context, name string, payload []byte, coalesce bool) error {
				return call("publish %s %q %v", name, payload, coalesce)
			},
			join: func(addrs []string, replay bool) (int, error) {
				return len(addrs), call("join %v %v", addrs, replay)
			},
			forceLeave: func(node string, prune bool) error { return call("force-leave %s %v", node, prune) },
			updateTags: func(set map[string]string, remove []string) error { return call("tags %v %v", set, remove) },
			key: func(verb, key string) (*serf.KeyResponse, error) {
				return &serf.KeyResponse{
					Messages: map[string]string{"n1": "fine"}, Keys: map[string]int{"a=": 2}, NumNodes: 3, NumErr: 1, NumResp: 2,
				}, call("%s %s", verb, key)
			},
			query: func(name string, payload []byte, p *serf.QueryParam) (*serf.QueryResponse, error) {
				return &serf.QueryResponse{}, call("query %s %q %v %v %v %d %v", name, payload,
					p.FilterNodes, p.FilterTags, p.RequestAck, p.RelayFactor, p.Timeout)
			},
			coord: &coordinate.Coordinate{Vec: []float64{1, 2}, Error: 3, Adjustment: 4, Height: 5},
		}
		keys := &wire.KeyResponse{Messages: map[string]string{"n1": "fine"}, NumNodes: 3, NumErr: 1, NumResp: 2}
		allKeys := *keys
		allKeys.Keys = map[string]int{"a=": 2}
		key := wire.KeyRequest{Key: "k="}
		reg := prometheus.NewRegistry()
		c := servePipes(t, a, Config{Metrics: reg}).dial(t).handshake()
		for _, test := range []struct {
			cmd      wire.Command
			req      any
			want     string // the call; "" where it cannot fail
			got, res any    // of the answer
		}{
			{wire.Event, wire.EventRequest{Name: "kong", Payload: []byte("a\x00\xff"), Coalesce: true}, `publish kong "a\x00\xff" true`, nil, nil},
			{wire.Join, wire.JoinRequest{Existing: []string{"a", "b"}, Replay: true}, "join [a b] true", &wire.JoinResponse{}, &wire.JoinResponse{Num: 2}},
			{wire.ForceLeave, wire.ForceLeaveRequest{Node: "n", Prune: true}, "force-leave n true", nil, nil},
			{wire.Tags, wire.TagsRequest{Tags: map[string]string{"a": "b"}, DeleteTags: []string{"c"}}, "tags map[a:b] [c]", nil, nil},
			{wire.InstallKey, key, "install k=", &wire.KeyResponse{}, keys},
			{wire.UseKey, key, "use k=", &wire.KeyResponse{}, keys},
			{wire.RemoveKey, key, "remove k=", &wire.KeyResponse{}, keys},
			{wire.ListKeys, nil, "list ", &wire.KeyResponse{}, &allKeys},
			{wire.Stats, nil, "", &map[string]map[string]string{}, &map[string]map[string]string{"agent": {"name": "fake"}}},
			{wire.GetCoordinate, wire.CoordinateRequest{Node: "fake"}, "", &wire.CoordinateResponse{},
				&wire.CoordinateResponse{Ok: true, Coord: wire.Coordinate{Vec: []float64{1, 2}, Error: 3, Adjustment: 4, Height: 5}}},
			{wire.GetCoordinate, wire.CoordinateRequest{Node: "other"}, "", &wire.CoordinateResponse{}, &wire.CoordinateResponse{}},
		} {
			for _, fail = range []error{nil, errors.New("it failed")} {
				if fail != nil && test.want == "" {
					continue
				}
				called = ""
				var text string
				if fail != nil {
					text = fail.Error()
				}
				if got := c.call(test.cmd, test.req, test.got); got != text {
					t.Errorf("%s: answer %q, want %q", test.cmd, got, text)
				}
				if called != test.want {
					t.Errorf("%s: called %q, want %q", test.cmd, called, test.want)
				}
				if diff := cmp.Diff(test.res, test.got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", test.cmd, diff)
				}
			}
		}

		fail = nil
		req := wire.QueryRequest{
			FilterNodes: []string{"n"}, FilterTags: map[string]string{"a": "b"}, RequestAck: true, RelayFactor: 2,
			Timeout: 5e9, Name: "ask", Payload: []byte("x"),
		}
		seq := c.send(wire.Query, req)
		if got := c.answer(seq); got != "" {
			t.Errorf("query: %q", got)
		}
		if want := `query ask "x" [n] map[a:b] true 2 5s`; called != want {
			t.Errorf("called %q, want %q", called, want)
		}
		if got := c.queryRecord(seq); got.Type != wire.QueryDone { // the fake's response is at its end
			t.Errorf("record %+v", got)
		}
		fail = errors.New("no query")
		if got := c.call(wire.Query, req, nil); got != "no query" {
			t.Errorf("query: %q", got)
		}
		if n := counter(t, reg, "agentctl_rpc_requests_total", "query"); n != 2 {
			t.Errorf("%v queries counted", n)
		}
	})
}

func (c *client) queryRecord(seq uint64) (r wire.QueryRecord) {
	c.t.Helper()
	if text := c.answer(seq); text != "" {
		c.t.Fatalf("a record with error %q", text)
	}
	c.read(&r)
	return r
}

// Stock serf panics where serf gives no response with an error.
func TestNilKeyResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeAgent{key: func(string, string) (*serf.KeyResponse, error) { return nil, errors.New("no keyring") }}
		c := servePipes(t, a, Config{}).dial(t).handshake()
		for _, cmd := range []wire.Command{wire.InstallKey, wire.UseKey, wire.RemoveKey, wire.ListKeys} {
			var req any
			if cmd.HasRequest() {
				req = wire.KeyRequest{Key: "x"}
			}
			resp := wire.KeyResponse{NumNodes: 9}
			if got := c.call(cmd, req, &resp); got != "no keyring" || resp.NumNodes != 0 {
				t.Errorf("%s: %q, %+v", cmd, got, resp)
			}
		}
	})
}

func TestInternalQueries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeAgent{query: func(string, []byte, *serf.QueryParam) (*serf.QueryResponse, error) {
			return &serf.QueryResponse{}, nil
		}}
		c := servePipes(t, a, Config{}).dial(t).handshake()
		for _, req := range []wire.QueryRequest{{Name: "_serf_remove-key"}, {Name: "_serf_ping", Payload: []byte("x")}} {
			if got := c.call(wire.Query, req, nil); got != "Queries cannot contain the '_serf_' prefix" {
				t.Errorf("%q: %q", req.Name, got)
			}
		}
		seq := c.send(wire.Query, wire.QueryRequest{Name: "_serf_ping"})
		if got := c.answer(seq); got != "" {
			t.Errorf("ping: %q", got)
		}
		c.queryRecord(seq)
	})
}

func TestMembersFiltered(t *testing.T) {
	members := []serf.Member{
		{Name: "web-1", Status: serf.StatusAlive, Tags: map[string]string{"role": "web", "dc": "east"}},
		{Name: "web-2", Status: serf.StatusFailed, Tags: map[string]string{"role": "web"}},
		{Name: "db-1", Status: serf.StatusAlive, Tags: map[string]string{"role": "db", "dc": "west"}},
	}
	synctest.Test(t, func(t *testing.T) {
		c := servePipes(t, &fakeAgent{members: members}, Config{}).dial(t).handshake()
		tag := func(kv ...string) map[string]string { return map[string]string{kv[0]: kv[1]} }
		for _, test := range []struct {
			req  wire.MembersFilteredRequest
			want string
		}{
			{wire.MembersFilteredRequest{}, "web-1 web-2 db-1"},
			{wire.MembersFilteredRequest{Name: "web"}, ""},
			{wire.MembersFilteredRequest{Name: "web.*"}, "web-1 web-2"},
			{wire.MembersFilteredRequest{Name: "web-1|1"}, "web-1 db-1"}, // ^web-1 or 1$
			{wire.MembersFilteredRequest{Name: "b-1|web-9"}, ""},         // ^b-1 or web-9$
			{wire.MembersFilteredRequest{Status: "alive"}, "web-1 db-1"},
			{wire.MembersFilteredRequest{Status: "alive", Tags: tag("role", "web")}, "web-1"},
			{wire.MembersFilteredRequest{Tags: tag("dc", "")}, "web-2"},
			{wire.MembersFilteredRequest{Tags: tag("dc", ".*st")}, "web-1 db-1"},
			{wire.MembersFilteredRequest{Tags: tag("none", ".+")}, ""},
		} {
			var resp wire.MembersResponse
			c.must(wire.MembersFiltered, test.req, &resp)
			var names []string
			for _, m := range resp.Members {
				names = append(names, m.Name)
			}
			if got := strings.Join(names, " "); got != test.want {
				t.Errorf("%+v: %q, want %q", test.req, got, test.want)
			}
		}
		many := make(map[string]string)
		for i := range maxPatterns {
			many[fmt.Sprint(i)] = "x"
		}
		for want, req := range map[string]wire.MembersFilteredRequest{
			"Failed to compile regex: error parsing regexp: missing closing )": {Name: "(web"},
			"Failed to compile regex: error parsing regexp: invalid nested":    {Status: "x", Tags: tag("role", "a**")},
			"Failed to compile regex: it has 1025 bytes, the limit is 1024":    {Status: strings.Repeat("a", maxPattern+1)},
			"too many tag filters: 64, the limit is 62":                        {Tags: many},
		} {
			resp := wire.MembersResponse{Members: []wire.Member{{Name: "stale"}}}
			if got := c.call(wire.MembersFiltered, req, &resp); !strings.HasPrefix(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
		}
		var resp wire.MembersResponse // the connection stays
		if c.must(wire.Members, nil, &resp); len(resp.Members) != 3 {
			t.Errorf("%+v", resp)
		}
	})
}
