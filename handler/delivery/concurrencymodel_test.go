package delivery

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"agentctl/handler"
	"agentctl/handler/backoff"
	"agentctl/handler/journal"
	"agentctl/handler/journal/disk"
	"agentctl/handler/target"
)

// orderRun is a run of a target, all of it drawn before it begins.
type orderRun struct {
	Concurrency int
	Events      []scriptedEvent
	Steps       []orderStep
}

// scriptedEvent is an event and how it fares.
type scriptedEvent struct {
	Key    string        // "" is none
	Fails  int           // attempts before the last
	Took   time.Duration // each attempt
	Buried bool          // at the last
	Lost   bool          // it is taken, but the answer lost, if the delivery ends during the last
}

// orderStep appends some events, waits, and perhaps ends the delivery and
// begins another.
type orderStep struct {
	Events int
	Pause  time.Duration
	End    string
}

func drawOrderRun(t *rapid.T) orderRun {
	ms := func(most int) *rapid.Generator[time.Duration] {
		return rapid.Map(rapid.IntRange(0, most), func(n int) time.Duration { return time.Duration(n) * time.Millisecond })
	}
	return orderRun{
		Concurrency: rapid.IntRange(1, 6).Draw(t, "concurrency"),
		Events: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) scriptedEvent {
			return scriptedEvent{
				Key:    rapid.SampledFrom([]string{"a", "b", "c", "d", "e", ""}).Draw(t, "key"),
				Fails:  max(rapid.IntRange(-3, 3).Draw(t, "fails"), 0),
				Took:   ms(20).Draw(t, "took"),
				Buried: rapid.IntRange(0, 9).Draw(t, "buried") == 9,
				Lost:   rapid.Bool().Draw(t, "lost"),
			}
		}), 1, 40).Draw(t, "events"),
		Steps: rapid.SliceOf(rapid.Custom(func(t *rapid.T) orderStep {
			return orderStep{
				rapid.IntRange(0, 10).Draw(t, "appended"), ms(60).Draw(t, "pause"),
				rapid.SampledFrom([]string{"", "finish", "cancel"}).Draw(t, "end"),
			}
		})).Draw(t, "steps"),
	}
}

// orderGateway holds each attempt against the order that doc.go promises.
type orderGateway struct {
	run orderRun

	mu       sync.Mutex
	inFlight int
	attempts []int  // by event
	settled  []bool // taken or refused, by event
	faults   []string
}

func (g *orderGateway) Post(ctx context.Context, e *handler.Event) (target.Response, error) {
	i := int(e.LTime) - 1
	script := g.run.Events[i]
	last := g.begin(i) > script.Fails
	err := backoff.Sleep(ctx, script.Took)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inFlight--
	switch {
	case err != nil:
		g.settled[i] = g.settled[i] || last && script.Lost
		return target.Response{}, err
	case !last:
		return target.Response{}, refused
	}
	g.settled[i] = true
	if script.Buried {
		return target.Response{}, &target.PostError{Class: target.Bury, Status: 400}
	}
	return target.Response{Status: 200}, nil
}

func (g *orderGateway) Flush(context.Context, *handler.Event) (target.Response, error) {
	return target.Response{}, target.ErrNoFlush
}

func (g *orderGateway) Close() {}

func (g *orderGateway) begin(i int) (attempt int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.attempts[i]++
	if g.inFlight++; g.inFlight > g.run.Concurrency {
		g.faults = append(g.faults, fmt.Sprintf("%d attempts at once", g.inFlight))
	}
	key := g.run.Events[i].Key
	for n, before := range g.run.Events[:i] {
		if !g.settled[n] && (before.Key == key || before.Key == "" || key == "") {
			g.faults = append(g.faults, fmt.Sprintf("event %d began before %d was settled", i+1, n+1))
		}
	}
	return g.attempts[i]
}

// Within each key events reach the target in order, one without a key passes
// none and is passed by none, no more than allowed are on the way at once, and
// none is lost: however attempts fail, and however often the delivery ends, with
// its journal too where that is on disk, and another goes on.
func TestOrderPerKey(t *testing.T) {
	check := func(t *testing.T, open func(*rapid.T) (j *journal.Journal, reopen func() *journal.Journal)) {
		synctest.Test(t, func(t *testing.T) {
			// Behind the interface rapid does not ask a *testing.T for its
			// deadline, which a bubble refuses.
			rapid.Check(struct{ rapid.TB }{t}, func(t *rapid.T) {
				run := drawOrderRun(t)
				n := len(run.Events)
				j, reopen := open(t)
				run.check(t, j, reopen, &orderGateway{run: run, attempts: make([]int, n), settled: make([]bool, n)})
			})
		})
	}
	t.Run("memory", func(t *testing.T) {
		check(t, func(*rapid.T) (*journal.Journal, func() *journal.Journal) {
			m := journal.New(journal.Config{})
			return m, func() *journal.Journal { return m }
		})
	})
	t.Run("disk", func(t *testing.T) {
		base, dirs := t.TempDir(), 0
		check(t, func(t *rapid.T) (*journal.Journal, func() *journal.Journal) {
			dirs++
			var d *disk.Disk
			open := func() *journal.Journal {
				if d != nil {
					if err := d.Close(); err != nil {
						t.Error(err)
					}
				}
				var err error
				if d, err = disk.Open(disk.Config{Dir: filepath.Join(base, fmt.Sprint(dirs)), NoSync: true, CloseTimeout: 10 * time.Minute}); err != nil {
					t.Fatal(err)
				}
				return d.Journal
			}
			return open(), open
		})
	})
}

func (run orderRun) check(t *rapid.T, j *journal.Journal, reopen func() *journal.Journal, g *orderGateway) {
	defer func() { j.Close() }()
	target := several(run.Concurrency)
	target.Name, target.URL, target.MinBackoff, target.MaxBackoff = "t", "http://h/", 5*time.Millisecond, 40*time.Millisecond
	var d *Delivery
	var end func(how string)
	begin := func() {
		var err error
		if d, err = newDelivery(Config{Target: target, Journal: j}, g); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- d.Run(ctx) }()
		end = func(how string) {
			if how == "cancel" {
				cancel()
			}
			d.Finish()
			if err := <-done; err != nil {
				t.Error(err)
			}
			cancel()
			if g.inFlight > 0 || d.Status().InFlight > 0 {
				t.Error("an attempt goes on after Run's end")
			}
		}
	}
	begin()
	appended := 0
	give := func(n int) {
		for _, e := range run.Events[appended:min(appended+n, len(run.Events))] {
			appended++
			if err := j.Append(keyed(uint64(appended), e.Key)); err != nil {
				t.Error(err)
			}
		}
	}
	for _, step := range run.Steps {
		give(step.Events)
		time.Sleep(step.Pause)
		if step.End != "" {
			end(step.End)
			j = reopen()
			begin()
		}
	}
	give(len(run.Events))
	idle, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	if err := d.Idle(idle); err != nil {
		t.Errorf("never idle, %+v: %v", d.Status(), err)
	}
	end("cancel")
	if i := slices.Index(g.settled, false); i >= 0 {
		t.Errorf("event %d is not settled", i+1)
	}
	for _, fault := range g.faults {
		t.Error(fault)
	}
	for _, b := range d.Buried() {
		if !run.Events[b.Seq-1].Buried {
			t.Errorf("event %d is buried", b.Seq)
		}
	}
}
