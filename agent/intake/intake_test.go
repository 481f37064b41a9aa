package intake

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent/script"
	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/scripts/testkit"
)

// stubJournal keeps what is appended; wait, where set, is called first.
type stubJournal struct {
	mu     sync.Mutex
	events []handler.Event
	gap    int
	forgot uint64
	wait   func()
	err    error
}

func (j *stubJournal) Append(events ...handler.Event) error {
	if j.wait != nil {
		j.wait()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return j.err
	}
	j.events = append(j.events, events...)
	return nil
}

func (j *stubJournal) Find(string) (journal.Record, bool) { return journal.Record{}, false }
func (j *stubJournal) Had(string) bool                    { return false }
func (j *stubJournal) Forgot(ltime uint64) bool           { return ltime < j.forgot }

func (j *stubJournal) Gap(n uint64, _ string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.gap += int(n)
	return j.err
}

func (j *stubJournal) len() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.events)
}

func noFailure(t *testing.T) func(error) {
	return func(err error) { t.Errorf("the intake failed: %v", err) }
}

// runIntake runs in; end makes it end and returns its error.
func runIntake(t *testing.T, in *Intake) (end func() error) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- in.Run(ctx) }()
	return func() error {
		cancel()
		return <-done
	}
}

// gossiped brings an event as gossip does: before serf passes it on, a user event is
// received.
func gossiped(in *Intake, e serf.Event) {
	if u, ok := e.(serf.UserEvent); ok {
		in.Receive(u, false)
	}
	in.ch <- e
}

func user(n int, coalesce bool) serf.UserEvent {
	return serf.UserEvent{LTime: serf.LamportTime(n), Name: fmt.Sprintf("e%d", n), Payload: []byte{byte(n)}, Coalesce: coalesce}
}

func TestIntakeKeepsOrderEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const events = 10_000
		logger, _ := testkit.NewLog()
		j := new(stubJournal)
		var ran, seen []string
		r := script.NewRunner("r", handler.Filters{{Type: "*"}}, logger, nil, func(_ context.Context, t script.Task) {
			ran = append(ran, t.Event.String())
		})
		drain := make(chan struct{})
		go r.Run(t.Context(), drain)
		in := New(Config{Journal: j, Runners: []*script.Runner{r}, Fail: noFailure(t), Logger: logger})
		in.Subscribe(func(e serf.Event) {
			if u, ok := e.(serf.UserEvent); ok && j.len() < int(u.LTime)-events/3 {
				t.Errorf("%s comes before it is in the journal", u)
			}
			seen = append(seen, e.String())
		})
		end := runIntake(t, in)
		var want, users []string
		for n := range events {
			var e serf.Event = user(n, false)
			if n%3 == 2 {
				e = &serf.Query{Name: fmt.Sprint(n)}
			} else {
				users = append(users, fmt.Sprint(n))
			}
			want = append(want, e.String())
			gossiped(in, e)
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
		close(drain)
		r.Idle(t.Context())
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Errorf("subscriber (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want, ran); diff != "" {
			t.Errorf("runner (-want +got):\n%s", diff)
		}
		var got []string
		for _, e := range j.events {
			got = append(got, fmt.Sprint(e.LTime))
		}
		if diff := cmp.Diff(users, got); diff != "" {
			t.Errorf("journal (-want +got):\n%s", diff)
		}
	})
}

func TestIntakeMakesEventsOfTheJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := new(stubJournal)
		reg := prometheus.NewRegistry()
		logger, _ := testkit.NewLog()
		in := New(Config{Journal: j, Fail: noFailure(t), Logger: logger, Metrics: reg})
		end := runIntake(t, in)
		began, told := time.Now(), time.Now().Add(drainSilence)
		members := []serf.Member{
			{Name: "a\tb", Addr: net.IPv4(10, 0, 0, 1), Tags: map[string]string{"role": "web", "x": "1", "b": "2"}},
			{Name: "c", Addr: net.ParseIP("::1")},
		}
		gossiped(in, serf.UserEvent{LTime: 7, Name: "kong", Payload: []byte("p\x00\xff"), Coalesce: true})
		in.ch <- serf.MemberEvent{Type: serf.EventMemberFailed, Members: members}
		in.ch <- serf.MemberEvent{Type: serf.EventMemberFailed, Members: members}
		in.ch <- &serf.Query{Name: "q"}
		if err := end(); err != nil {
			t.Fatal(err)
		}
		lines := []byte("a\\tb\t10.0.0.1\tweb\tb=2,role=web,x=1\nc\t::1\t\t\n")
		want := []handler.Event{
			handler.NewUser(7, "kong", []byte("p\x00\xff"), began),
			handler.NewMember(handler.MemberFailed, "m-"+in.nonce+"-1", lines, told),
			handler.NewMember(handler.MemberFailed, "m-"+in.nonce+"-2", lines, told),
		}
		if diff := cmp.Diff(want, j.events); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		for typ, want := range map[string]float64{"user": 1, "member-failed": 2, "query": 1} {
			if got := testkit.Counter(t, reg, "agentctl_events_received_total", typ); got != want {
				t.Errorf("counted %v of %s, want %v", got, typ, want)
			}
		}
		if other := New(Config{Journal: j, Logger: logger}); other.nonce == in.nonce {
			t.Error("two processes' member events have the same IDs")
		}
	})
}

// A journal that hangs costs events, which are counted and told; serf's channel
// is emptied all the while.
func TestIntakeNeverBlocksSerf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const events = 200_000
		hang := make(chan struct{})
		j := &stubJournal{wait: func() { <-hang }}
		reg := prometheus.NewRegistry()
		logger, log := testkit.NewLog()
		in := New(Config{Journal: j, Fail: noFailure(t), Logger: logger, Metrics: reg})
		in.Subscribe(func(serf.Event) {})
		end := runIntake(t, in)
		for n := range events {
			in.Receive(user(n, false), false)
		}
		for n := range 2 * channelEvents {
			in.ch <- user(n, false) // would end the test in a deadlock
		}
		synctest.Wait()
		if len(in.ch) > 0 {
			t.Errorf("%d events are left in serf's channel", len(in.ch))
		}
		in.mu.Lock()
		lost := int(in.full) - 2*channelEvents // which only scripts and streams would have got
		in.mu.Unlock()
		if lost < events-2*queueEvents || lost > events-queueEvents {
			t.Errorf("%d lost, want what is over %d", lost, queueEvents)
		}
		if got := testkit.Counter(t, reg, "agentctl_events_dropped_total", "intake_full"); int(got) != lost+2*channelEvents {
			t.Errorf("counted %v, want %d", got, lost+2*channelEvents)
		}
		lines := log.Count("level=ERROR", "events are lost")
		if lines == 0 || lines > 18 {
			t.Errorf("%d lines tell of %d lost events, want one for each power of two", lines, lost)
		}
		close(hang)
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if j.gap != lost {
			t.Errorf("the journal was told of a gap of %d, want %d", j.gap, lost)
		}
		if j.len()+lost != events {
			t.Errorf("%d in the journal and %d lost, want %d", j.len(), lost, events)
		}
		// Which are lost depends on when the first batch is taken, and how long it is.
		for i, e := range j.events[1:] {
			if before := j.events[i].LTime; e.LTime <= before {
				t.Fatalf("Lamport time %d comes behind %d: order is lost", e.LTime, before)
			}
		}
	})
}

func TestIntakeTellsOfAJournalThatFailsAndGoesOnEmptying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("disk full")
		j := &stubJournal{err: broken}
		logger, _ := testkit.NewLog()
		reg := prometheus.NewRegistry()
		var failure error
		in := New(Config{Journal: j, Fail: func(err error) { failure = err }, Logger: logger, Metrics: reg})
		in.Subscribe(func(serf.Event) {})
		end := runIntake(t, in)
		in.Receive(user(1, false), false)
		synctest.Wait()
		if !errors.Is(failure, broken) {
			t.Fatalf("told of %v while running, want %v", failure, broken)
		}
		for n := range queueEvents + 2*channelEvents {
			in.ch <- user(n, false)
		}
		synctest.Wait()
		if got := testkit.Counter(t, reg, "agentctl_events_dropped_total", "intake_full"); got != 2*channelEvents {
			t.Errorf("%v counted as lost, want %d", got, 2*channelEvents)
		}
		if err := end(); !errors.Is(err, broken) {
			t.Errorf("Run: %v, want %v", err, broken)
		}
	})
}

func TestIntakePassesOnWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, _ := testkit.NewLog()
		j := new(stubJournal)
		in := New(Config{Journal: j, Fail: noFailure(t), Logger: logger})
		var seen []string
		in.Subscribe(func(e serf.Event) { seen = append(seen, e.String()) })
		ctx, cancel := context.WithCancel(t.Context())
		for n := range 100 {
			gossiped(in, user(n, n >= 98)) // two are held for the coalescer
		}
		cancel()
		done := make(chan error, 1)
		go func() { done <- in.Run(ctx) }()
		time.Sleep(drainSilence / 2)
		gossiped(in, user(100, true)) // serf's last, as it shuts down
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if len(seen) != 101 || j.len() != 101 {
			t.Errorf("%d events passed on, %d in the journal, want 101", len(seen), j.len())
		}
	})
}

// forgetful is a journal that keeps nothing, and hangs until it is told to go on.
type forgetful struct{ hang chan struct{} }

func (j forgetful) Append(...handler.Event) error { <-j.hang; return nil }

func (j forgetful) Find(string) (_ journal.Record, known bool) { return }
func (j forgetful) Had(string) bool                            { return false }
func (j forgetful) Forgot(uint64) bool                         { return false }

func (j forgetful) Gap(uint64, string) error { return nil }

// heap is how many bytes are in use.
func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// A burst does not hold memory for ever, neither that of its events nor that of
// the buffers that they were in.
func TestIntakeLetsGoOfABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, _ := testkit.NewLog()
		hang := make(chan struct{})
		in := New(Config{Journal: forgetful{hang}, Fail: noFailure(t), Logger: logger})
		end := runIntake(t, in)
		take := func(n int) {
			if err := in.Take(t.Context(), Link, user(n, false)); err != nil {
				t.Fatal(err)
			}
		}
		take(0)
		synctest.Wait() // that one is with the journal
		before := heap()
		for n := range queueEvents {
			take(1 + n)
		}
		burst := heap() - before
		close(hang)
		synctest.Wait()
		kept := heap() - before
		t.Logf("%d bytes in the burst, %d after it", burst, kept)
		if kept > 2<<20 {
			t.Errorf("%d bytes are in use after a burst of %d events", kept, queueEvents)
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
	})
}

// What is used again for the next batch points to nothing of the last one.
func TestBuffersAreEmptied(t *testing.T) {
	small := make([]*int, 3, keptCapacity)
	for i := range small {
		small[i] = new(int)
	}
	got := emptied(small)
	if len(got) != 0 || cap(got) != keptCapacity || slices.ContainsFunc(small, func(p *int) bool { return p != nil }) {
		t.Errorf("a buffer for %d has %d, room for %d, and holds %v", cap(small), len(got), cap(got), small)
	}
	if got := emptied(make([]*int, 3, keptCapacity+1)); got != nil {
		t.Errorf("a large buffer is kept, with room for %d", cap(got))
	}
}

func TestIntakeSubscriptionEndsForSure(t *testing.T) {
	logger, _ := testkit.NewLog()
	j := new(stubJournal)
	in := New(Config{Journal: j, Fail: noFailure(t), Logger: logger})
	end := runIntake(t, in)
	feeding := make(chan struct{})
	var fed sync.WaitGroup
	fed.Go(func() {
		for n := 0; ; n++ {
			in.Receive(user(n, false), false)
			for j.len() < n-16 { // no faster than they go, so that rounds are short
				runtime.Gosched()
			}
			select {
			case in.ch <- user(n, false):
			case <-feeding:
				return
			}
		}
	})
	for range 200 {
		var ended atomic.Bool
		called := make(chan struct{}, 1)
		cancel := in.Subscribe(func(serf.Event) {
			if ended.Load() {
				t.Error("called after cancel had returned")
			}
			select {
			case called <- struct{}{}:
			default:
			}
		})
		<-called
		cancel()
		ended.Store(true)
	}
	close(feeding)
	fed.Wait()
	if err := end(); err != nil {
		t.Fatal(err)
	}
}
