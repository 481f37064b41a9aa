package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"agentctl/agent/config"
	"agentctl/agent/publish"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

func TestPublishUpToTheLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		for _, tt := range []struct {
			limit, most int // of bytes of name and payload
		}{
			{512, 512},
			{1, 1},
			{9000, 9000},
			// Serf's own bound is on the encoded event, 30 bytes more here.
			{9216, 9186},
		} {
			n := start(t, handlers("user:n="+gw.URL), func(o *config.Options) { o.UserEventSizeLimit, o.MaxEventSize = tt.limit, 0 })
			if err := n.Publish(t.Context(), "n", make([]byte, tt.most-1), false); err != nil {
				t.Errorf("limit %d, %d bytes: %v", tt.limit, tt.most, err)
			}
			if err := n.Publish(t.Context(), "n", make([]byte, tt.most), false); err == nil {
				t.Errorf("limit %d: %d bytes are taken", tt.limit, tt.most+1)
			} else if se, ok := errors.AsType[*publish.SizeError](err); !ok || se.Encoded != (tt.most < tt.limit) {
				t.Errorf("limit %d: %v", tt.limit, err)
			}
			err := n.Publish(t.Context(), "n", make([]byte, tt.limit), false)
			se, ok := errors.AsType[*publish.SizeError](err)
			hint := "user_event_size_limit on the agent (to at most 9216)"
			if tt.limit == 9216 {
				hint = "max_event_size on the agent (to at most 1048576), which needs peer_links and reaches agentctl agents alone"
			}
			want := fmt.Sprintf("the event has %d bytes (name 1, payload %d), the limit is %d: send less, or raise %s", tt.limit+1, tt.limit, tt.limit, hint)
			if !ok || *se != (publish.SizeError{Name: 1, Payload: tt.limit, Limit: tt.limit}) || err.Error() != want {
				t.Errorf("limit %d: %v, want %s", tt.limit, err, want)
			}
			if got := testkit.Counter(t, n.registry, "agentctl_events_published_total", "error"); got != 2 {
				t.Errorf("counted %v refused events, want 2", got)
			}
		}
		testkit.WaitFor(t, "what was taken to be posted", func() bool { return len(gw.Of("user")) == 4 })
	})
}

// Serf would merge equal events that are published at once.
func TestPublishOfEqualEventsAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const rounds, atOnce = 10, 200
		const events = rounds * atOnce
		gw := memory.NewGateway(t)
		n := start(t, handlers("user:kong="+gw.URL), func(o *config.Options) { o.LogLevel = "err" })
		for range rounds {
			var wg sync.WaitGroup
			begin := make(chan struct{})
			for range atOnce {
				wg.Go(func() {
					<-begin
					if err := n.Publish(t.Context(), "kong", []byte("same"), false); err != nil {
						t.Error(err)
					}
				})
			}
			close(begin)
			wg.Wait()
		}
		testkit.WaitFor(t, "all events to be posted", func() bool { return len(gw.Of("user")) >= events })
		ids := map[string]bool{}
		for _, p := range gw.Of("user") {
			ids[p.ID] = true
		}
		if len(ids) != events {
			t.Errorf("%d events of %d are distinct", len(ids), events)
		}
		if got := testkit.Counter(t, n.registry, "agentctl_events_published_total", "success"); got != events {
			t.Errorf("counted %v, want %d", got, events)
		}
	})
}

// An event published before a join would be too old for the cluster.
func TestPublishWaitsForTheJoin(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		old := start(t, handlers("user:after="+gw.URL))
		for n := range 600 { // more than serf's window of 512
			if err := old.Publish(t.Context(), "before", fmt.Append(nil, n), false); err != nil {
				t.Fatal(err)
			}
		}
		n := start(t, func(o *config.Options) { o.RetryJoin = []string{memory.Addr()} })
		testkit.WaitFor(t, "a join to fail", func() bool { return n.log.Count("joining failed, trying again") > 0 })
		done := make(chan error, 1)
		go func() { done <- n.Publish(t.Context(), "after", []byte("x"), false) }()
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		if err := n.Publish(cancelled, "never", nil, false); !errors.Is(err, context.Canceled) {
			t.Errorf("with a context that has ended: %v", err)
		}
		select {
		case <-n.Joined():
			t.Error("joined, although nobody is there")
		default:
		}
		if _, err := n.Join([]string{old.GossipAddr()}, false); err != nil {
			t.Fatal(err)
		}
		<-n.Joined()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		testkit.WaitFor(t, "the event at the older node", func() bool { return len(gw.Of("user")) == 1 })
		if n.log.Count("publishing although no node could be joined") != 0 {
			t.Error("it did not wait for the join")
		}
	})
}

func TestPublishDoesNotWaitForEver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		n := start(t, handlers("user:kong="+gw.URL), func(o *config.Options) { o.RetryJoin = []string{memory.Addr()} })
		if err := n.Publish(t.Context(), "kong", nil, false); err != nil {
			t.Fatal(err)
		}
		testkit.WaitFor(t, "the event to be posted", func() bool { return len(gw.Of("user")) == 1 })
		// Once given up, no publish waits again.
		ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
		defer cancel()
		for range 100 { // with a wait each, they would take 500 s
			if err := n.Publish(ctx, "kong", nil, false); err != nil {
				t.Fatal(err)
			}
		}
		testkit.WaitFor(t, "the warning", func() bool {
			return n.log.Count("level=WARN", "publishing although no node could be joined yet") == 1
		})
	})
}

// A publisher whose context ends does not go on to wait for another one, and its
// event goes nowhere.
func TestAPublisherGivesUpWhileAnotherPublishes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		publishing, release := make(chan struct{}), make(chan struct{})
		goOn := sync.OnceFunc(func() { close(release) })
		defer goOn()
		hub, buf := newHub(t)
		a, err := newOn(t, compiled(t, options(handlers("user:kong="+gw.URL))), hub, Hooks{
			Published: func(_ string, payload []byte) {
				if string(payload) == "first" {
					close(publishing)
					<-release
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		n := run(t, a, buf)
		first := make(chan error, 1)
		go func() { first <- n.Publish(t.Context(), "kong", []byte("first"), false) }()
		<-publishing
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		soon, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		for want, ctx := range map[error]context.Context{context.Canceled: ended, context.DeadlineExceeded: soon} {
			gaveUp := make(chan error, 1)
			go func() { gaveUp <- n.Publish(ctx, "kong", []byte("too late"), false) }()
			select {
			case err := <-gaveUp:
				if !errors.Is(err, want) {
					t.Errorf("got %v, want %v", err, want)
				}
			case <-time.After(testkit.Patience):
				t.Fatalf("a publisher goes on to wait for another one: want %v", want)
			}
		}
		goOn()
		if err := <-first; err != nil {
			t.Fatal(err)
		}
		// The lock is free: one whose context has ended does not get it all the same.
		if err := n.Publish(ended, "kong", []byte("too late"), false); !errors.Is(err, context.Canceled) {
			t.Errorf("with a context that has ended: %v", err)
		}
		if err := n.Publish(t.Context(), "kong", []byte("last"), false); err != nil {
			t.Fatal(err)
		}
		testkit.WaitFor(t, "the last event to be posted", func() bool { return slices.Contains(bodies(gw.Of("user")), "last") })
		if got := bodies(gw.Of("user")); !slices.Equal(got, []string{"first", "last"}) {
			t.Errorf("posted %q", got)
		}
	})
}
