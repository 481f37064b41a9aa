package intake

import (
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/gossip"
	"agentctl/agent/memnet"
	"agentctl/scripts/testkit"
)

// stockCoalescing runs a serf node with serf's own coalescing, alone on a
// network in memory. Events given to feed come out of the channel as scripts of
// stock serf get them.
func stockCoalescing(t *testing.T) (feed func(serf.UserEvent), out <-chan serf.Event, end func()) {
	conf := serf.DefaultConfig()
	ch := make(chan serf.Event, 1024)
	conf.NodeName, conf.EventCh = "stock", ch
	conf.Logger = log.New(io.Discard, "", 0)
	conf.CoalescePeriod, conf.QuiescentPeriod = coalescePeriod, quiescePeriod
	conf.UserCoalescePeriod, conf.UserQuiescentPeriod = coalescePeriod, quiescePeriod
	conf.MemberlistConfig.Logger = conf.Logger
	conf.MemberlistConfig.Transport = memnet.New(memnet.Config{}).Add("10.0.0.1:7946")
	s, err := serf.Create(conf)
	if err != nil {
		t.Fatal(err)
	}
	feed = func(u serf.UserEvent) {
		m := gossip.Message{LTime: u.LTime, Name: u.Name, Payload: u.Payload, CC: u.Coalesce}
		raw, err := m.Encode()
		if err != nil {
			t.Error(err)
		}
		conf.MemberlistConfig.Delegate.NotifyMsg(raw)
	}
	return feed, ch, func() {
		if err := s.Shutdown(); err != nil {
			t.Error(err)
		}
	}
}

// TestCoalescingIsSerfs gives chance sequences of events to serf's coalescing
// and ours, and compares what comes out and when.
func TestCoalescingIsSerfs(t *testing.T) {
	for seed := range uint64(25) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			feed, stock, stop := stockCoalescing(t)
			logger, _ := testkit.NewLog()
			j := new(stubJournal)
			in := New(Config{Journal: j, Fail: noFailure(t), Logger: logger})
			end := runIntake(t, in)
			began := time.Now()
			note := func(e serf.Event) (string, bool) {
				u, ok := e.(serf.UserEvent)
				return fmt.Sprintf("%v %s %d %s", time.Since(began).Round(time.Microsecond), u.Name, u.LTime, u.Payload), ok
			}
			var want, got []string
			gathered := make(chan struct{})
			quit := make(chan struct{})
			go func() {
				defer close(gathered)
				for {
					select {
					case e := <-stock:
						if line, ok := note(e); ok {
							want = append(want, line)
						}
					case <-quit:
						return
					}
				}
			}()
			in.Subscribe(func(e serf.Event) {
				if line, ok := note(e); ok {
					got = append(got, line)
				}
			})
			const events = 60
			for n := range events {
				// Now and then a pause long enough for quiet, else so short
				// that only the bound of three seconds lets them go.
				time.Sleep(time.Duration(random.Int64N(int64(900 * time.Millisecond))))
				if random.IntN(8) == 0 {
					time.Sleep(time.Duration(random.Int64N(int64(2 * time.Second))))
				}
				u := serf.UserEvent{
					LTime:    serf.LamportTime(100 + n/2 - random.IntN(5)),
					Name:     string(rune('a' + random.IntN(3))),
					Payload:  fmt.Append(nil, n),
					Coalesce: random.IntN(5) > 0,
				}
				feed(u)
				gossiped(in, u)
				synctest.Wait()
				if j.len() != n+1 {
					t.Errorf("event %d is not in the journal at once", n)
				}
			}
			time.Sleep(2 * coalescePeriod)
			stop()
			if err := end(); err != nil {
				t.Error(err)
			}
			close(quit)
			<-gathered
			// What goes at one time goes in the order of a map, in serf.
			slices.Sort(want)
			slices.Sort(got)
			if len(want) < 5 || len(want) >= events {
				t.Fatalf("serf let %d of %d events pass: the test shows nothing", len(want), events)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("seed %d (-serf +ours):\n%s", seed, diff)
			}
		})
	}
}

func TestCoalescedEventsGoInTheOrderOfTheirNames(t *testing.T) {
	var c coalescer
	now := time.Now()
	for _, e := range []serf.UserEvent{
		{Name: "b", LTime: 1, Payload: []byte("old"), Coalesce: true},
		{Name: "a", LTime: 2, Coalesce: true},
		{Name: "b", LTime: 3, Payload: []byte("1"), Coalesce: true},
		{Name: "b", LTime: 3, Payload: []byte("2"), Coalesce: true},
		{Name: "b", LTime: 2, Payload: []byte("late"), Coalesce: true},
	} {
		if !c.add(e, now) {
			t.Errorf("%v is not held", e)
		}
	}
	if c.add(serf.UserEvent{Name: "b"}, now) || c.add(serf.MemberEvent{}, now) || c.add(&serf.Query{}, now) {
		t.Error("holds what may not coalesce")
	}
	var got []string
	for _, e := range c.flush() {
		got = append(got, e.(serf.UserEvent).Name+string(e.(serf.UserEvent).Payload))
	}
	if want := []string{"b1", "b2", "a"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, waiting := c.due(); waiting || len(c.flush()) != 0 {
		t.Error("something is left after a flush")
	}
}
