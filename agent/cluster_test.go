package agent

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/config"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

func TestEventsReachEveryGatewayOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gws := []*testkit.Gateway{memory.NewGateway(t), memory.NewGateway(t)}
		a := start(t, func(o *config.Options) { o.EventHandlers, o.Gateway = nil, gws[0].URL })
		b := start(t, func(o *config.Options) { o.EventHandlers, o.Gateway = nil, gws[1].URL })
		join(t, a, b)
		payloads := []string{
			`{"type":"ENTITY_UPDATED"}`, "", "\n", "line\n", "\x00\xff\xfe", "]=]; os.exit() --[=[", "ü ☃ 😀", strings.Repeat("x", 512),
		}
		for n := range 100 {
			payloads = append(payloads, fmt.Sprint("in order ", n))
		}
		for _, p := range payloads {
			if err := a.Publish(t.Context(), "kong", []byte(p), false); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.Publish(t.Context(), "not-for-gateways", []byte("x"), false); err != nil {
			t.Fatal(err)
		}
		bodies := make([][]string, 2)
		for i, gw := range gws {
			testkit.WaitFor(t, fmt.Sprintf("all events at gateway %d", i), func() bool { return len(gw.Of("user")) >= len(payloads) })
			testkit.WaitFor(t, "the other member's join", func() bool {
				all := ""
				for _, p := range gw.Of("member-join") {
					all += p.Body
				}
				return strings.Contains(all, a.opts.NodeName) && strings.Contains(all, b.opts.NodeName)
			})
			for _, p := range gw.Of("user") {
				if p.Name != "kong" {
					t.Errorf("gateway %d got %q", i, p.Name)
				}
				bodies[i] = append(bodies[i], p.Body)
			}
		}
		if diff := cmp.Diff(payloads, bodies[0]); diff != "" {
			t.Errorf("at the publisher (-want +got):\n%s", diff)
		}
		// Elsewhere serf's gossip keeps no order.
		slices.Sort(payloads)
		slices.Sort(bodies[1])
		if diff := cmp.Diff(payloads, bodies[1]); diff != "" {
			t.Errorf("at the other (-want +got):\n%s", diff)
		}
		ids := map[string]bool{}
		for i, p := range append(gws[0].Of("user"), gws[1].Of("user")...) {
			ids[p.ID] = true
			if i >= len(payloads) && len(ids) != len(payloads) {
				t.Fatalf("%d IDs of %d events", len(ids), len(payloads))
			}
		}
	})
}

func TestGatewayDownThenUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		gw.Down.Store(true)
		n := start(t, handlers("user="+gw.URL))
		var want []string
		for i := range 20 {
			want = append(want, fmt.Sprint(i))
			if err := n.Publish(t.Context(), "e", []byte(want[i]), false); err != nil {
				t.Fatal(err)
			}
		}
		testkit.WaitFor(t, "some attempts", func() bool { return gw.Attempts() >= 3 })
		if s := n.Targets()[0]; s.Waiting != 20 || s.State != "retrying" || s.Delivered != 0 {
			t.Errorf("while it is down: %+v", s)
		}
		gw.Down.Store(false)
		testkit.WaitFor(t, "all events", func() bool { return n.Targets()[0].Delivered == 20 })
		var got []string
		for _, p := range gw.Of("user") {
			got = append(got, p.Body)
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestJoinsThatAreAskedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		first := start(t)
		a := start(t, func(o *config.Options) { o.StartJoin = []string{first.GossipAddr()} })
		b := start(t, func(o *config.Options) { o.RetryJoin = []string{"127.0.0.1:1", first.GossipAddr()} })
		for n, want := range map[*node]int{first: 0, a: 1, b: 1} {
			<-n.Joined()
			if got := n.Contacted(); got != want {
				t.Errorf("contacted %d nodes, want %d", got, want)
			}
			testkit.WaitFor(t, "all members", func() bool { return n.countMembers("alive") == 3 })
		}
	})
}

func TestQueryIsAnsweredByScriptAndByTarget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		answering := func(body string) string {
			return memory.Serve(t, func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(body)) }).URL
		}
		nodes := []*node{
			start(t, handlers("query:ask=cat; echo $SERF_QUERY_NAME")),
			start(t, handlers("query:ask="+answering("from the gateway"))),
			start(t, handlers("query:ask="+answering(""), "user="+answering("not asked"))),
			// All of these answer: the first one to do so counts.
			start(t, handlers("query:ask=echo one", "query:ask=echo two", "query:ask="+answering("one\n"), "query:ask="+answering("two\n"))),
		}
		join(t, nodes...)
		// Queries are best effort: serf sends one to two nodes only, in this profile,
		// and those pass it on to two. So it is asked until all have answered.
		got := map[string]string{}
		testkit.WaitFor(t, "an answer from each", func() bool {
			resp, err := nodes[2].Query("ask", []byte("what"), &serf.QueryParam{Timeout: 3 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			for r := range resp.ResponseCh() {
				got[r.From] = string(r.Payload)
				if len(got) == 3 {
					resp.Close()
					return true
				}
			}
			return false
		})
		last := got[nodes[3].opts.NodeName]
		want := map[string]string{
			nodes[0].opts.NodeName: "what\nask\n",
			nodes[1].opts.NodeName: "from the gateway",
			nodes[3].opts.NodeName: last,
		}
		if diff := cmp.Diff(want, got); diff != "" || last != "one\n" && last != "two\n" {
			t.Errorf("answers %q (-want +got):\n%s", got, diff)
		}
	})
}
