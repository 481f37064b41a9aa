package delivery

import (
	"context"
	"fmt"
	"path/filepath"
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
	"agentctl/scripts/testkit"
)

// flushRun is a run of a target that is flushed, all of it drawn before.
type flushRun struct {
	Concurrency int
	MaxPending  int
	Fails       []bool          // of each attempt, in turn
	Took        []time.Duration // likewise
	Steps       []flushStep
}

// flushStep appends events, perhaps tells of a gap, waits, and perhaps ends the
// delivery and begins another.
type flushStep struct {
	Events int
	Gap    string
	Pause  time.Duration
	End    string
}

func drawFlushRun(t *rapid.T) flushRun {
	ms := func(most int) *rapid.Generator[time.Duration] {
		return rapid.Map(rapid.IntRange(0, most), func(n int) time.Duration { return time.Duration(n) * time.Millisecond })
	}
	return flushRun{
		Concurrency: rapid.IntRange(1, 4).Draw(t, "concurrency"),
		MaxPending:  rapid.IntRange(4, 20).Draw(t, "max pending"),
		Fails:       append(rapid.SliceOf(rapid.Bool()).Draw(t, "fails"), false),
		Took:        rapid.SliceOfN(ms(20), 1, 10).Draw(t, "took"),
		Steps: rapid.SliceOf(rapid.Custom(func(t *rapid.T) flushStep {
			return flushStep{
				rapid.IntRange(0, 8).Draw(t, "events"), rapid.SampledFrom([]string{"", "", "before", "after"}).Draw(t, "gap"),
				ms(60).Draw(t, "pause"), rapid.SampledFrom([]string{"", "", "finish", "cancel"}).Draw(t, "end"),
			}
		})).Draw(t, "steps"),
	}
}

// maxFlushRest is the longest time between two flushes that losses cause.
const maxFlushRest = 40 * time.Millisecond

// flushGateway holds each attempt against what doc.go promises of flushes.
type flushGateway struct {
	run flushRun

	mu        sync.Mutex
	journal   *journal.Journal // of the present delivery
	attempts  int
	posting   int
	flushing  int
	gaps      int             // that the journal was told of
	rested    time.Time       // until when a flush that went well may hold up the next one
	covered   int             // those among them before the begin of a flush that went well
	delivered map[uint64]bool // by Lamport time
	faults    []string
}

func (g *flushGateway) fault(format string, args ...any) {
	g.faults = append(g.faults, fmt.Sprintf(format, args...))
}

func (g *flushGateway) begin() (took time.Duration, fails bool) {
	g.attempts++
	n := g.attempts
	return g.run.Took[n%len(g.run.Took)], g.run.Fails[n%len(g.run.Fails)]
}

func (g *flushGateway) gap() journal.Gap {
	s, _ := g.journal.CursorStatus("t")
	return s.Gap
}

func (g *flushGateway) Post(ctx context.Context, e *handler.Event) (target.Response, error) {
	g.mu.Lock()
	took, fails := g.begin()
	g.posting++
	if gap := g.gap(); gap.Open() && time.Now().After(g.rested) || g.flushing > 0 {
		g.fault("event %d is posted with %d flushes under way and the gap %+v", e.LTime, g.flushing, gap)
	}
	g.mu.Unlock()
	err := backoff.Sleep(ctx, took)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.posting--
	if err == nil && fails {
		err = refused
	}
	if err == nil {
		g.delivered[e.LTime] = true
	}
	return target.Response{Status: 200}, err
}

func (g *flushGateway) Flush(ctx context.Context, _ *handler.Event) (target.Response, error) {
	g.mu.Lock()
	took, fails := g.begin()
	g.flushing++
	if gap := g.gap(); !gap.Open() || g.flushing > 1 || g.posting > 0 {
		g.fault("a flush with %d others and %d attempts under way and the gap %+v", g.flushing-1, g.posting, gap)
	}
	covers := g.gaps
	g.mu.Unlock()
	err := backoff.Sleep(ctx, took)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.flushing--
	if err == nil && fails {
		err = refused
	}
	if g.rested = (time.Time{}); err == nil {
		g.covered, g.rested = covers, time.Now().Add(maxFlushRest)
	}
	return target.Response{Status: 200}, err
}

func (g *flushGateway) Close() {}

// However attempts fail, more comes than may wait, gaps are told of, also while
// one is flushed, and deliveries end: no event is posted while there is a gap, but for the
// time for which flushes keep a distance,
// nothing is flushed without one, no flush goes beside anything, each gap is
// covered by a flush that began behind it, and no event is missing but the
// lost.
func TestFlushAgainstModel(t *testing.T) {
	base, dirs := t.TempDir(), 0
	for name, open := range map[string]func(journal.Config) func() *journal.Journal{
		"memory": func(limits journal.Config) func() *journal.Journal {
			m := journal.New(limits)
			return func() *journal.Journal { return m }
		},
		"disk": func(limits journal.Config) func() *journal.Journal {
			dirs++
			dir, d := filepath.Join(base, fmt.Sprint(dirs)), (*disk.Disk)(nil)
			return func() *journal.Journal {
				if d != nil {
					testkit.MustClose(t, d)
				}
				var err error
				if d, err = disk.Open(disk.Config{Dir: dir, Limits: limits, NoSync: true, CloseTimeout: 10 * time.Minute}); err != nil {
					t.Error(err)
				}
				return d.Journal
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// As in TestOrderPerKey.
				rapid.Check(struct{ rapid.TB }{t}, func(t *rapid.T) {
					run := drawFlushRun(t)
					run.check(t, open(journal.Config{MaxPending: run.MaxPending}))
				})
			})
		})
	}
}

func (run flushRun) check(t *rapid.T, reopen func() *journal.Journal) {
	g := &flushGateway{run: run, delivered: map[uint64]bool{}}
	gateway := several(run.Concurrency)
	gateway.Name, gateway.URL, gateway.Flush = "t", "http://h/", &target.FlushRequest{}
	gateway.MinBackoff, gateway.MaxBackoff = 5*time.Millisecond, maxFlushRest
	var d *Delivery
	var end func(how string)
	begin := func() {
		g.journal, g.rested = reopen(), time.Time{}
		var err error
		if d, err = newDelivery(Config{Target: gateway, Journal: g.journal}, g); err != nil {
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
			if g.posting+g.flushing > 0 {
				t.Error("an attempt goes on after Run's end")
			}
		}
	}
	begin()
	gap := func() {
		synctest.Wait() // so that it is known what comes behind it
		g.gaps++
		if err := g.journal.Gap(1, "told"); err != nil {
			t.Error(err)
		}
	}
	appended := uint64(0)
	for _, step := range run.Steps {
		if step.Gap == "before" {
			gap()
		}
		for range step.Events {
			appended++
			synctest.Wait()
			if err := g.journal.Append(keyed(appended, fmt.Sprint(appended%3))); err != nil {
				t.Error(err)
			}
		}
		if step.Gap == "after" {
			gap()
		}
		time.Sleep(step.Pause)
		if step.End != "" {
			end(step.End)
			begin()
		}
	}
	idle, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	if err := d.Idle(idle); err != nil {
		t.Errorf("never idle, %+v: %v", d.Status(), err)
	}
	s := d.Status()
	end("cancel")
	if s.State != StateOK || g.covered != g.gaps {
		t.Errorf("%d of %d gaps are covered: %+v", g.covered, g.gaps, s)
	}
	// One that is taken just as the delivery ends comes again, and may be lost then.
	if missing := appended - uint64(len(g.delivered)); missing > s.Lost-uint64(g.gaps) {
		t.Errorf("%d events are missing, and %d are told to be lost beside %d gaps", missing, s.Lost, g.gaps)
	}
	if err := g.journal.Close(); err != nil {
		t.Error(err)
	}
	for _, fault := range g.faults {
		t.Error(fault)
	}
}
