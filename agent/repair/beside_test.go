package repair

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
)

// among is a node that compares with an honest peer, named so, and with liars.
type among struct {
	rep    *Repair
	store  *journal.Journal
	honest *journal.Journal
	mu     sync.Mutex
	asked  map[string]int // comparisons, by peer
}

func newAmong(t *testing.T, liars int, lie func(ctx context.Context, req request) ([]byte, error)) *among {
	t.Helper()
	n := &among{store: journal.New(journal.Config{}), honest: journal.New(journal.Config{}), asked: map[string]int{}}
	cfg := config()
	cfg.Store = n.honest
	peer := newRepair(t, cfg)
	cfg.Store = n.store
	cfg.Peers = func() []string {
		peers := []string{"honest"}
		for i := range liars {
			peers = append(peers, fmt.Sprint("liar", i))
		}
		return peers
	}
	cfg.Take = func(_ context.Context, events []handler.Event) error { return n.store.Append(events...) }
	cfg.Ask = func(ctx context.Context, name string, b []byte) ([]byte, error) {
		req, err := decodeRequest(b)
		if err != nil {
			return nil, err
		}
		if req.kind() == kindCompare {
			n.mu.Lock()
			n.asked[name]++
			n.mu.Unlock()
		}
		if name == "honest" {
			return peer.Handle(ctx, "node", b)
		}
		return lie(ctx, req)
	}
	n.rep = newRepair(t, cfg)
	return n
}

// run has it compare until the end of the test.
func (n *among) run(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- n.rep.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// publish gives the honest peer an event, and tells how long that took to come here.
func (n *among) publish(t *testing.T, ltime uint64, atMost time.Duration) time.Duration {
	t.Helper()
	e := handler.NewUser(ltime, "e", nil, time.Now())
	if err := n.honest.Append(e); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for !n.store.Had(e.ID) && time.Since(began) < atMost {
		time.Sleep(100 * time.Millisecond)
	}
	return time.Since(began)
}

// endless answers each question so that the comparison goes on, and brings nothing.
func endless(pause time.Duration) func(context.Context, request) ([]byte, error) {
	return func(ctx context.Context, req request) ([]byte, error) {
		time.Sleep(pause)
		from := origin{incarnation: 7}
		switch m := req.(type) {
		case *compareRequest:
			return encodeAnswer(&compareAnswer{origin: from, head: farAway, newest: farAway, late: true}), nil
		case *idsRequest:
			next := journal.LTimePos{LTime: m.after.LTime, Seq: m.after.Seq + 1}
			return encodeAnswer(&idsAnswer{from, true, []listedID{{next, "1-0123456789abcdef"}}}), nil
		case *eventsRequest:
			return encodeAnswer(&eventsAnswer{origin: from, done: 1}), nil
		}
		return nil, errUnreachable
	}
}

// Liars that hold a comparison up, with pages without end or by silence, hold up none
// with others: an event of an honest peer comes in about its usual time.
func TestLiarsThatHoldComparisonsUp(t *testing.T) {
	silence := func(ctx context.Context, _ request) ([]byte, error) {
		time.Sleep(10 * time.Second) // after which a link gives up
		return nil, errUnreachable
	}
	for _, tt := range []struct {
		name  string
		liars int
		lie   func(context.Context, request) ([]byte, error)
		most  time.Duration
	}{
		{"nobody lies", 0, nil, 30 * time.Second},
		{"pages without end", 1, endless(50 * time.Millisecond), 35 * time.Second},
		{"slow pages without end", 1, endless(9 * time.Second), 35 * time.Second},
		{"slow pages without end, of many", 20, endless(9 * time.Second), 150 * time.Second},
		{"silence", 1, silence, 35 * time.Second},
		{"silence of many", 20, silence, 150 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newAmong(t, tt.liars, tt.lie)
				stop := n.run(t)
				time.Sleep(time.Second)
				longest, sum := time.Duration(0), time.Duration(0)
				const events = 40
				for i := range uint64(events) {
					took := n.publish(t, 1+i, tt.most)
					longest, sum = max(longest, took), sum+took
				}
				t.Logf("%d events took %v at most, %v on average", events, longest, sum/events)
				if longest >= tt.most {
					t.Errorf("an event took %v", longest)
				}
				stop()
			})
		})
	}
}

// A comparison that brings nothing ends after 15 seconds, and the peer is asked again
// ever more seldom.
func TestAComparisonThatBringsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newAmong(t, 1, endless(100*time.Millisecond))
		began := time.Now()
		_, err := n.rep.attempt(t.Context(), "liar0")
		if took := time.Since(began); !errors.Is(err, errIdle) || took < idleTime || took > idleTime+time.Second {
			t.Errorf("after %v: %v", took, err)
		}
		stop := n.run(t)
		time.Sleep(time.Hour)
		synctest.Wait()
		stop()
		if liar, honest := n.asked["liar0"], n.asked["honest"]; liar < 4 || liar > 8 || honest < 120 {
			t.Errorf("in an hour the liar was asked %d times, and the honest peer %d times", liar, honest)
		}
	})
}

// A peer whose events come slowly is heard to the end, but for the two minutes that a
// comparison may take. One that sends an event now and then is not.
func TestSlowEvents(t *testing.T) {
	for _, tt := range []struct {
		name   string
		size   int
		pause  time.Duration
		events int
		whole  bool
	}{
		{"long ones", 250 << 10, 5 * time.Second, 15, true},
		{"a short one now and then", 10, 5 * time.Second, 15, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newAmong(t, 0, nil)
				ask := n.rep.cfg.Ask
				n.rep.cfg.Ask = func(ctx context.Context, peer string, b []byte) ([]byte, error) {
					if req, err := decodeRequest(b); err == nil && req.kind() == kindEvents {
						select {
						case <-time.After(tt.pause):
						case <-ctx.Done():
							return nil, ctx.Err()
						}
						b = encodeRequest(&eventsRequest{req.(*eventsRequest).ids[:1]})
					}
					return ask(ctx, peer, b)
				}
				for i := range tt.events {
					if err := n.honest.Append(handler.NewUser(uint64(1+i), "e", make([]byte, tt.size), time.Now())); err != nil {
						t.Fatal(err)
					}
				}
				_, err := n.rep.attempt(t.Context(), "honest")
				if whole := err == nil; whole != tt.whole || !whole && !errors.Is(err, errIdle) {
					t.Errorf("%v", err)
				}
			})
		})
	}
}
