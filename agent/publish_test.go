package agent

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/config"
	"agentctl/agent/gossip"
	"agentctl/agent/publish"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// encoded is the size of serf's message for an event with a small Lamport time.
func encoded(t *testing.T, name, payload int) int {
	t.Helper()
	raw, err := (&gossip.Message{LTime: 1, Name: strings.Repeat("n", name), Payload: make([]byte, payload)}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	return len(raw)
}

// TestPublishUpToTheLimit publishes the largest events that all members get, and
// larger ones by a byte. Kong sends payloads of up to 512 bytes.
func TestPublishUpToTheLimit(t *testing.T) {
	const packet, encrypted = 1395, 1366 // bytes of a message that gossip carries
	key := base64.StdEncoding.EncodeToString(make([]byte, 16))
	longest := func(payload, most int) (name int) { // whose message has most bytes
		for encoded(t, name+1, payload) <= most {
			name++
		}
		return name
	}
	bubble(t, func(t *testing.T) {
		for _, tt := range []struct {
			limit         int
			encrypt       string
			name, payload int
			want          string // why one byte more is refused
			longerName    bool   // that byte is the name's
		}{
			{512, "", 0, 512, "the limit of the payload is 512", false},
			{512, "", 4, 512, "the limit of the payload is 512", false},
			{512, key, 4, 512, "the limit of the payload is 512", false},
			{512, "", 511, 512, "the limit of the payload is 512", false},
			{512, "", longest(512, packet), 512, "a gossip packet holds 1395", true},
			{512, key, longest(512, encrypted), 512, "a gossip packet holds 1366", true},
			{512, "", longest(1, packet), 1, "a gossip packet holds 1395", true},
			{1, "", 100, 1, "the limit of the payload is 1", false},
			{1300, "", longest(1300, packet), 1300, "a gossip packet holds 1395", true},
			// Whoever raises the limit gets more than a packet, of name and payload.
			{9000, "", 100, 8900, "a gossip packet holds 1395", true},
			{9000, "", 0, 9000, "the limit of the payload is 9000", false},
			// Serf's own bound is on the encoded event.
			{9216, "", longest(8000, serf.UserEventSizeLimit), 8000, "is over serf's own limit of 9216", true},
		} {
			what := fmt.Sprintf("limit %d, key %q, name of %d bytes, payload of %d", tt.limit, tt.encrypt, tt.name, tt.payload)
			gw := memory.NewGateway(t)
			n := start(t, handlers("user="+gw.URL), func(o *config.Options) {
				o.UserEventSizeLimit, o.MaxEventSize, o.EncryptKey = tt.limit, 0, tt.encrypt
			})
			if err := n.Publish(t.Context(), strings.Repeat("n", tt.name), make([]byte, tt.payload), false); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			over := publish.SizeError{Name: tt.name, Payload: tt.payload}
			if tt.longerName {
				over.Name++
			} else {
				over.Payload++
			}
			err := n.Publish(t.Context(), strings.Repeat("n", over.Name), make([]byte, over.Payload), false)
			se, ok := errors.AsType[*publish.SizeError](err)
			if !ok || se.Name != over.Name || se.Payload != over.Payload || se.Limit != tt.limit {
				t.Errorf("%s, and a byte more: %v", what, err)
				continue
			}
			want := fmt.Sprintf("the event has %d bytes (name %d, payload %d)", over.Name+over.Payload, over.Name, over.Payload)
			if !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s, and a byte more: %v; want %q in it, and %q", what, err, want, tt.want)
			}
			if got := testkit.Counter(t, n.Metrics(), "agentctl_events_published_total", "error"); got != 1 {
				t.Errorf("%s: counted %v refused events, want 1", what, got)
			}
			testkit.WaitFor(t, "what was taken to be posted", func() bool { return len(gw.Of("user")) == 1 })
			n.end(ErrNoLeave)
		}
	})
}

// TestGossipCarriesTheLargestMessage has an event of each kind of limit reach a node
// that has no links, by gossip alone, before there is a full sync.
func TestGossipCarriesTheLargestMessage(t *testing.T) {
	for _, key := range []string{"", base64.StdEncoding.EncodeToString(make([]byte, 32))} {
		bubble(t, func(t *testing.T) {
			gw := memory.NewGateway(t)
			alone := func(o *config.Options) { o.PeerLinks, o.DirectSend, o.EncryptKey = false, false, key }
			a, b := start(t, alone), start(t, alone, handlers("user="+gw.URL))
			join(t, a, b)
			began := time.Now()
			for payload := 1; payload <= 512; payload += 73 {
				name := 0
				for a.Publish(t.Context(), strings.Repeat("n", 1400-name), make([]byte, payload), false) != nil {
					name++ // the longest name that is taken
				}
			}
			testkit.WaitFor(t, "all of them to be posted", func() bool { return len(gw.Of("user")) == 8 })
			if took := time.Since(began); took > 10*time.Second { // by the bubble's clock; a full sync comes every 15 s at least
				t.Errorf("key %q: it took %v", key, took)
			}
		})
	}
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
		if got := testkit.Counter(t, n.Metrics(), "agentctl_events_published_total", "success"); got != events {
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
			return n.log.Count("level=ERR", "publishing although no node could be joined yet") == 1
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
