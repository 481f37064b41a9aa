package agent

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/api"
	"agentctl/agent/config"
	"agentctl/agent/gossip"
	"agentctl/agent/intake"
	"agentctl/agent/large"
	"agentctl/agent/link"
	"agentctl/agent/publish"
	"agentctl/handler"
	"agentctl/handler/delivery"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// largest takes events of up to 1 MiB.
func largest(o *config.Options) { o.MaxEventSize = large.MaxEvent }

// noise is a payload of that many bytes, of no pattern.
func noise(n int) string {
	b := make([]byte, n)
	random := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)})
	random.Read(b)
	return string(b)
}

// largeEvents counts what became of large events.
func (n *node) largeEvents(t *testing.T, result string) int {
	return int(testkit.Counter(t, n.Metrics(), "agentctl_large_events_total", result))
}

// refer is the serf message for a large event, as its publisher has it.
func (n *node) refer(t *testing.T, name, payload string, ltime serf.LamportTime) []byte {
	t.Helper()
	ref := large.Refer(name, []byte(payload), n.opts.NodeName)
	m := gossip.Message{LTime: ltime, Name: large.EventName, Payload: ref.Encode()}
	raw, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Events of any size up to 1 MiB come to all, byte for byte, once, whether
// links are open, encrypted, or not known yet.
func TestLargeEvents(t *testing.T) {
	for name, change := range map[string]func(*config.Options){"plain": wan, "encrypted": encrypted} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				memory.Delay(t, 0, 2*time.Millisecond)
				a, b, c := startWithGateway(t, change, largest), startWithGateway(t, change), startWithGateway(t, change)
				join(t, a.node, b.node, c.node)
				var want []string
				for _, n := range []int{511, 512, 8 << 10, 64 << 10, 200_000, large.MaxEvent - 1, 100} {
					payload := noise(n)
					publishAll(t, a.Agent, payload)
					want = append(want, payload)
					if n == 8<<10 {
						want = append(want, a.findsPeer(t, "between", b.node, c.node)...)
					}
				}
				for _, n := range []gatewayNode{a, b, c} {
					n.has(t, want)
					for _, p := range n.gw.Of("user") {
						if p.Name != "e" {
							t.Errorf("%s got an event %q", n.opts.NodeName, p.Name)
						}
					}
				}
			})
		})
	}
}

// gossiped brings a message as a member would.
func (n *node) gossiped(t *testing.T, raw []byte) {
	t.Helper()
	var m gossip.Message
	if err := m.Decode(raw); err != nil {
		t.Fatal(err)
	}
	n.intake.Receive(m.Event(), false)
	n.serf.Inject(raw)
}

// Over a link large events come in order with all others, and serf gets their
// reference.
func TestLargeEventsKeepTheirOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := startWithGateway(t)
		other := &node{Agent: &Agent{opts: &config.Config{Options: config.Options{NodeName: "publisher"}}}}
		var msgs [][]byte
		var want []string
		for i := range 20 {
			ltime, payload := serf.LamportTime(10+i), noise(100*i*i*i)
			if i%2 == 0 {
				m := gossip.Message{LTime: ltime, Name: "e", Payload: []byte(payload)}
				raw, err := m.Encode()
				if err != nil {
					t.Fatal(err)
				}
				msgs = append(msgs, raw)
			} else {
				msgs = append(msgs, large.Pack(other.refer(t, "e", payload, ltime), []byte(payload)))
			}
			want = append(want, payload)
		}
		bad := large.Pack(other.refer(t, "e", "one", 40), []byte("two"))
		n.publisher.TakeLinked(link.Peer{Name: "publisher"}, append(msgs, bad, []byte{0xa1}))
		testkit.WaitFor(t, "all posts", func() bool { return len(n.gw.Of("user")) >= len(want) })
		var got []string
		for _, p := range n.gw.Of("user") {
			got = append(got, p.Body)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d events came, not the %d in their order", len(got), len(want))
		}
		testkit.WaitFor(t, "serf to have seen them all", func() bool { return n.serf.EventClock() >= 30 })
		if got := n.largeEvents(t, "refused"); got != 2 {
			t.Errorf("%d were refused, want 2", got)
		}
	})
}

// Who gets the reference alone fetches the event, from whoever has it.
func TestLargeEventIsFetched(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, c := startWithGateway(t), startWithGateway(t), startWithGateway(t)
		join(t, a.node, b.node, c.node)
		payload := noise(100_000)
		event := serf.UserEvent{LTime: 50, Name: "e", Payload: []byte(payload)}
		if err := a.intake.Take(t.Context(), intake.Local, event); err != nil {
			t.Fatal(err)
		}
		a.has(t, []string{payload})
		// The publisher is gone, or another one: a is a peer that has it.
		gone := &node{Agent: &Agent{opts: &config.Config{Options: config.Options{NodeName: "gone"}}}}
		b.findsPeer(t, "to know", a.node)
		b.gossiped(t, gone.refer(t, "e", payload, 50))
		testkit.WaitFor(t, "b to have it", func() bool {
			return slices.ContainsFunc(b.gw.Of("user"), func(p testkit.Post) bool { return p.Body == payload })
		})
		// From who published it, whoever that is.
		c.gossiped(t, b.refer(t, "e", payload, 50))
		testkit.WaitFor(t, "c to have it", func() bool {
			return slices.ContainsFunc(c.gw.Of("user"), func(p testkit.Post) bool { return p.Body == payload })
		})
		for _, n := range []gatewayNode{b, c} {
			// Repair may be the first of the two.
			if fetch, repair := n.took(t, intake.Fetch), n.took(t, intake.Repair); fetch+repair == 0 {
				t.Error("it came neither by its reference nor by repair")
			}
		}
		if got := a.largeEvents(t, "lost") + b.largeEvents(t, "lost") + c.largeEvents(t, "lost"); got != 0 {
			t.Errorf("%d are lost", got)
		}
	})
}

// A node that has no links gets none: those of its targets that want the event
// are flushed, the publisher is told, and so is its log.
func TestLargeEventIsLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw, other := memory.NewGateway(t), memory.NewGateway(t)
		a, r := opsNode(t)
		b := start(t, func(o *config.Options) {
			o.PeerLinks, o.EventHandlers = false, nil
			o.Targets = []config.TargetOptions{
				{Name: "wants", URL: gw.URL, Events: "user:e", Flush: config.FlushOptions{Body: "flush"}},
				{Name: "other", URL: other.URL, Events: "user:other", Flush: config.FlushOptions{Body: "flush"}},
			}
		})
		join(t, a.node, b)
		var report api.PublishReport
		payload := noise(60_000)
		status, text := r.ask(t, "POST", "/v1/events", fmt.Sprintf(`{"name":"e","payload_base64":%q}`, base64.StdEncoding.EncodeToString([]byte(payload))),
			&report, "Content-Type", "application/json")
		if status != http.StatusAccepted || !slices.Equal(report.Unreached, []string{b.opts.NodeName}) || !strings.Contains(report.Warning, b.opts.NodeName) {
			t.Errorf("%d %s: %+v", status, text, report)
		}
		if want := handler.NewUser(report.LTime, "e", []byte(payload), a.intake.Began()).ID; report.ID != want {
			t.Errorf("the ID is %s, want %s", report.ID, want)
		}
		testkit.WaitFor(t, "the flush", func() bool {
			return slices.ContainsFunc(gw.Of(""), func(p testkit.Post) bool { return p.Body == "flush" })
		})
		publishAll(t, a.Agent, "small")
		testkit.WaitFor(t, "the next event", func() bool { return len(gw.Of("user")) == 1 })
		if n := other.Attempts(); n != 0 {
			t.Errorf("a target that the event was not for got %d requests", n)
		}
		if n := b.largeEvents(t, "lost"); n != 1 || len(gw.Of("")) != 1 {
			t.Errorf("%d lost, %d flushes, want one each", n, len(gw.Of("")))
		}
		testkit.WaitFor(t, "one warning", func() bool {
			return a.log.Count("level=WARN", "a large event does not reach all members", b.opts.NodeName) == 1
		})
		a.has(t, []string{payload, "small"})
		report = api.PublishReport{} // of an answer that comes at once, now that it is known
		if status, text := r.ask(t, "POST", "/v1/events?name=e", noise(1000), &report, "Content-Type", "application/octet-stream"); status != 202 || !slices.Equal(report.Unreached, []string{b.opts.NodeName}) {
			t.Errorf("the second: %d %s: %+v", status, text, report)
		}
	})
}

// What is over the limit is refused, by whom it cannot be sent too, and so is
// the reserved name.
func TestLargeEventIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, tt := range []struct {
			change        func(*config.Options)
			name, payload int
			want          string // "": it is taken
		}{
			{largest, 1, large.MaxEvent - 1, ""},
			{largest, 1, large.MaxEvent, "the limit is 1048576"},
			{largest, large.MaxName, 1, ""},
			{largest, large.MaxName + 1, 1, ""}, // gossip carries it whole
			{largest, 1400, 1, "may have a name of 512"},
			{largest, large.MaxName + 1, 1000, "may have a name of 512"},
			{func(*config.Options) {}, 1, 64<<10 - 1, ""},
			{func(*config.Options) {}, 1, 64 << 10, "the limit is 65536"},
			{func(o *config.Options) { o.PeerLinks = false }, 1, 513, "the limit of the payload is 512"},
			{func(o *config.Options) { o.MaxEventSize = 0 }, 1, 513, "the limit of the payload is 512"},
			{func(o *config.Options) { o.MaxEventSize = 100 }, 1, 512, ""},
			{func(o *config.Options) { o.UserEventSizeLimit = 9216 }, 1, 9215, ""}, // serf's encoding is over its limit
			{func(o *config.Options) {
				*o = config.SerfOptions()
				o.NodeName, o.Bind, o.RPCAddr = "as-serf", memory.Addr(), "127.0.0.1:0"
			}, 1, 513, "the limit of the payload is 512"},
		} {
			n := start(t, tt.change)
			err := n.Publish(t.Context(), strings.Repeat("n", tt.name), make([]byte, tt.payload), false)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%d and %d bytes: %v, want %q", tt.name, tt.payload, err, tt.want)
			}
			if err := n.Publish(t.Context(), large.EventName, nil, false); err != publish.ErrReserved {
				t.Errorf("the reserved name: %v", err)
			}
			n.end(ErrNoLeave)
		}
	})
}

// A node that was away has what it missed from its peers' journals, and its own
// after a restart, like any other event.
func TestLargeEventsAcrossARestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw, dir := memory.NewGateway(t), t.TempDir()
		a := start(t, largest)
		opts := []func(*config.Options){in(dir), named("large-away"), bind(memory.Addr()), handlers("user:kong=" + gw.URL)}
		n := start(t, opts...)
		join(t, a, n)
		addr := n.GossipAddr()
		gw.Down.Store(true)
		want := []string{noise(300_000), noise(1000)}
		publishTo(t, a, want[0])
		testkit.WaitFor(t, "it to wait", func() bool { return n.Targets()[0].Waiting == 1 })
		n.crash(t)
		publishTo(t, a, want[1])
		gw.Down.Store(false)
		n = start(t, append(opts, func(o *config.Options) { o.Bind, o.RetryJoin = addr, []string{a.GossipAddr()} })...)
		// The first may come twice: it may have been in flight as the node crashed.
		var got []string
		testkit.WaitFor(t, "both", func() bool {
			got = slices.Compact(bodies(gw.Of("user")))
			return len(got) >= 2
		})
		for i, body := range got {
			if body != want[i] {
				t.Errorf("post %d has %d bytes, want %d", i, len(body), len(want[i]))
			}
		}
		if s := n.Targets()[0]; s.Lost != 0 || s.State != delivery.StateOK {
			t.Errorf("%+v", s)
		}
	})
}

// After a restart the references to what the history has let go of come again:
// nothing is asked for, and nothing lost.
func TestReferenceFromBeforeTheHistory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		dir := t.TempDir()
		set := []func(*config.Options){in(dir), named("trims"), func(o *config.Options) { o.JournalMaxEvents = 5 }}
		n := start(t, set...)
		for range 10 {
			publishTo(t, n, noise(1000)) // equal ones have Lamport times of their own
		}
		testkit.WaitFor(t, "all to be in the journal", func() bool { return n.journal.Head() >= 10 })
		last := serf.LamportTime(n.serf.EventClock() - 1)
		n.crash(t)
		n = start(t, set...)
		for _, tt := range []struct {
			ltime   serf.LamportTime
			waiting bool
		}{{1, false}, {last - 9, false}, {last, true}, {last + 10, true}} {
			w := large.Wanted{Reference: large.Refer("kong", []byte(noise(5000)), "gone"), LTime: uint64(tt.ltime)}
			if got := n.journal.Forgot(w.LTime); got == tt.waiting {
				t.Errorf("Lamport time %d of %d: had before: %v", tt.ltime, last, got)
			}
		}
	})
}
