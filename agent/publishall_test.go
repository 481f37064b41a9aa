package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"agentctl/agent/config"
	"agentctl/agent/publish"
	"agentctl/handler"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// A batch comes to this node in its order, and no publish of others comes between its
// events. All of it comes to a peer, too, where gossip may overtake the link.
func TestPublishAllKeepsTheOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const events = 300
		mine, theirs := memory.NewGateway(t), memory.NewGateway(t)
		a, b := start(t, handlers("user="+mine.URL)), start(t, handlers("user="+theirs.URL))
		join(t, a, b)
		batches := make(chan []publish.Sent)
		for _, name := range []string{"x", "y"} {
			go func() {
				var batch []publish.Event
				for i := range events {
					batch = append(batch, publish.Event{Name: "e", Payload: fmt.Appendf(nil, "%s%d", name, i%200)}) // some are equal
				}
				sent, err := a.publisher.PublishAll(context.Background(), batch)
				if err != nil {
					t.Error(err)
				}
				batches <- sent
			}()
		}
		first, second := <-batches, <-batches
		if string(first[0].Payload) == "y0" {
			first, second = second, first
		}
		var want [2][]string // either batch may be the first
		for i, batch := range [][]publish.Sent{append(slices.Clone(first), second...), append(slices.Clone(second), first...)} {
			seen := map[string]bool{}
			for _, e := range batch {
				want[i] = append(want[i], string(e.Payload))
				if id := handler.UserID(uint64(e.LTime), handler.Sum(e.Name, e.Payload)); seen[id] || id != e.ID() {
					t.Errorf("ID %s, want %s, and no other's", e.ID(), id)
				}
				seen[e.ID()] = true
			}
		}
		bodies := func(what string, gw *testkit.Gateway) (got []string) {
			testkit.WaitFor(t, "all events "+what, func() bool { return len(gw.Of("user")) == 2*events })
			for _, r := range gw.Of("user") {
				got = append(got, r.Body)
			}
			return got
		}
		if got := bodies("here", mine); !slices.Equal(got, want[0]) && !slices.Equal(got, want[1]) {
			t.Errorf("the events came as %v", got)
		}
		slices.Sort(want[0])
		if got := slices.Sorted(slices.Values(bodies("at a peer", theirs))); !slices.Equal(got, want[0]) {
			t.Errorf("the peer has %v", got)
		}
		if n := testkit.Counter(t, a.Metrics(), "agentctl_events_published_total", "success"); n != 2*events {
			t.Errorf("%v counted", n)
		}
	})
}

// A batch ends at the first event that cannot be published: those before it are, and none
// behind.
func TestPublishAllEndsAtTheFirstError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		n := start(t, handlers("user="+gw.URL), func(o *config.Options) { o.MaxEventSize = 0 })
		batch := []publish.Event{{Name: "a"}, {Name: "b"}, {Name: "c", Payload: []byte(strings.Repeat("x", 10_000))}, {Name: "d"}}
		sent, err := n.publisher.PublishAll(t.Context(), batch)
		if _, ok := errors.AsType[*publish.SizeError](err); !ok || len(sent) != 2 {
			t.Errorf("%d sent, %v", len(sent), err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if sent, err := n.publisher.PublishAll(ended, batch); err != context.Canceled || len(sent) != 0 {
			t.Errorf("after its end: %d sent, %v", len(sent), err)
		}
		if err := n.Publish(t.Context(), "e", nil, false); err != nil {
			t.Fatal(err)
		}
		testkit.WaitFor(t, "the events", func() bool { return len(gw.Of("user")) == 3 })
		reg := n.Metrics()
		if ok, bad := testkit.Counter(t, reg, "agentctl_events_published_total", "success"), testkit.Counter(t, reg, "agentctl_events_published_total", "error"); ok != 3 || bad != 2 {
			t.Errorf("%v counted as success, %v as errors", ok, bad)
		}
	})
}
