package suspicion

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentctl/scripts/testkit"
)

// rig is a Times, and what it told.
type rig struct {
	*Times
	log             *testkit.LogBuffer
	metrics         *prometheus.Registry
	pure            bool // all members are ours
	flushes, looked int
}

func newRig(last uint64) *rig {
	logger, log := testkit.NewLog()
	r := &rig{log: log, metrics: prometheus.NewRegistry()}
	r.Times = New(Config{Last: last, Logger: logger, Metrics: r.metrics, Mixed: func() bool { return !r.pure }, Suspect: func() { r.looked++ },
		Lost: func(string) error { r.flushes++; return errors.New("the journal is closed") }})
	return r
}

// Synced shadows that of Times, and tells at once.
func (r *rig) Synced(clock uint64) {
	r.Times.Synced(clock)
	r.tell()
}

func (r *rig) saw(times ...uint64) {
	for _, ltime := range times {
		r.Saw(ltime, false)
	}
}

// syncs are full syncs, 30 seconds apart, of a member whose clock is beyond all that
// was seen.
func (r *rig) syncs(n int) {
	for range n {
		time.Sleep(30 * time.Second)
		r.Synced(r.top + 1)
	}
}

// Which holes count, and how many flushes follow.
func TestHoles(t *testing.T) {
	for name, tt := range map[string]struct {
		last uint64
		do   func(*rig)
		want int
	}{
		"none":                        {10, func(r *rig) { r.saw(11, 12, 13); r.syncs(9) }, 0},
		"a hole":                      {10, func(r *rig) { r.saw(11, 13); r.syncs(2) }, 1},
		"is told once":                {10, func(r *rig) { r.saw(11, 13); r.syncs(99) }, 1},
		"one sync":                    {10, func(r *rig) { r.saw(11, 13); r.syncs(1) }, 0},
		"two syncs at once":           {10, func(r *rig) { r.saw(11, 13); r.Synced(14); r.Synced(14) }, 0},
		"filled":                      {10, func(r *rig) { r.saw(11, 13); r.syncs(1); r.saw(12); r.syncs(9) }, 0},
		"filled in part":              {10, func(r *rig) { r.saw(11, 17); r.syncs(1); r.saw(13, 15); r.syncs(1) }, 1},
		"filled in the middle":        {10, func(r *rig) { r.saw(14); r.syncs(1); r.saw(12, 11, 13); r.syncs(9) }, 0},
		"members behind it":           {10, func(r *rig) { r.saw(13); time.Sleep(time.Hour); r.Synced(12); r.Synced(12) }, 0},
		"behind the journal":          {10, func(r *rig) { r.saw(1000); r.syncs(2) }, 1},
		"a new node's past":           {0, func(r *rig) { r.saw(5, 9); r.Synced(1000); r.syncs(9) }, 0},
		"a new node's events":         {0, func(r *rig) { r.Synced(1000); r.saw(1000, 1002); r.syncs(2) }, 1},
		"lost at the join's edge":     {0, func(r *rig) { r.Synced(1000); r.saw(1002); r.syncs(2) }, 1},
		"our own skip":                {10, func(r *rig) { r.Saw(10+ownSkip+1, true); r.syncs(9) }, 0},
		"more than we skip":           {10, func(r *rig) { r.Saw(10+ownSkip+2, true); r.syncs(2) }, 1},
		"an absurd jump":              {10, func(r *rig) { r.saw(1<<40, 1<<40+1); r.syncs(9) }, 0},
		"the longest jump":            {10, func(r *rig) { r.saw(10 + absurd + 1); r.syncs(9) }, 1},
		"one more":                    {10, func(r *rig) { r.saw(10 + absurd + 2); r.syncs(9) }, 0},
		"forged, and what follows it": {10, func(r *rig) { r.saw(5000, 11, 12, 5001, 5002); r.syncs(99) }, 1},
		"the last time of all":        {10, func(r *rig) { r.saw(1<<64-1, 11); r.syncs(9) }, 0},
		"members of ours only":        {10, func(r *rig) { r.pure = true; r.saw(13); r.syncs(9) }, 0},
		"very many":                   {10, func(r *rig) { r.saw(spread(3*mostHoles, 2)...); r.syncs(9) }, 1},
		"a spread":                    {10, func(r *rig) { r.saw(spread(mostHoles, 2)...); r.syncs(9) }, 1},
		"a spread that grows": {10, func(r *rig) {
			r.saw(12)
			r.syncs(1)
			r.saw(14)
			r.syncs(1)
			r.saw(15)
			r.syncs(9)
		}, 1},
		"without an end": {10, func(r *rig) { // a new hole every 30 seconds, for 30 minutes
			for n := range uint64(60) {
				r.saw(12 + 2*n)
				r.syncs(1)
			}
		}, 19}, // one in a minute and a half
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(tt.last)
				tt.do(r)
				if r.flushes != tt.want {
					t.Errorf("%d flushes, want %d; left are %v", r.flushes, tt.want, r.holes)
				}
				if warned := r.log.Count("level=WARN", "events may be lost"); warned != tt.want {
					t.Errorf("%d lines tell it, want %d", warned, tt.want)
				}
				if n := testkit.CounterWith(t, r.metrics, "agentctl_suspected_holes_total", nil); (n > 0) != (tt.want > 0) {
					t.Errorf("%v holes are counted, and %d flushes wanted", n, tt.want)
				}
				if tt.want > 0 && r.looked == 0 {
					t.Error("nobody looked for the events elsewhere")
				}
			})
		})
	}
}

// spread are n times above 10, so many apart.
func spread(n, apart int) (times []uint64) {
	for i := range n {
		times = append(times, uint64(10+apart*(i+1)))
	}
	return times
}
