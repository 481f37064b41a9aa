package suspicion

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// mostHoles bounds the holes that are remembered.
	mostHoles = 1024
	// absurd is the longest jump of Lamport times that is a hole.
	absurd = 1 << 16
	// ownSkip is how many times this node itself may skip, see package publish.
	ownSkip = 128
	// unfilled is how many full syncs have to leave a hole as it is.
	unfilled = 2
	// settle is how old a hole is at least when the last of these syncs comes: the
	// events of a burst come in any order.
	settle = 10 * time.Second
	// gathered is for how long a hole that counts waits for newer ones, and how far
	// apart two flushes are at least.
	gathered = time.Minute
)

// Config is what a [Times] needs. Its Run calls the functions.
type Config struct {
	// Last is the last Lamport time in the journal of an earlier process, 0 if this
	// node is new.
	Last uint64
	// Mixed tells whether a member is in the cluster that is not known to be ours.
	Mixed func() bool
	// Suspect is told when a full sync leaves a hole for the first time: now is the time
	// to look for the events elsewhere.
	Suspect func()
	// Lost is told once for a spread of holes that count. The error is logged.
	Lost    func(reason string) error
	Logger  *slog.Logger
	Metrics prometheus.Registerer // nil counts nothing
}

// Times are the Lamport times of which this node has seen an event.
type Times struct {
	cfg     Config
	now     func() time.Time
	counted prometheus.Counter

	mu    sync.Mutex
	began bool      // a time that is missed from now on is a hole
	top   uint64    // the highest time seen
	holes []hole    // below it, in order, without overlap
	over  int       // holes that were too many, which count, since holes were told last
	full  time.Time // since when there are such
	told  time.Time

	wake    chan struct{}
	suspect bool // Suspect is to be told
	count   int  // of holes that Lost is to be told of
}

// hole is a range of times of which no event was seen.
type hole struct {
	from, to uint64
	shown    time.Time
	syncs    int
	ripe     time.Time // since when it counts; zero: not yet
}

// New returns the times of a node that has seen nothing yet.
func New(cfg Config) *Times {
	return &Times{cfg: cfg, now: time.Now, counted: newCounted(cfg.Metrics), wake: make(chan struct{}, 1), began: cfg.Last > 0, top: cfg.Last}
}

// Saw notes an event of a Lamport time, however it came. own says that this node has
// just published it.
func (t *Times) Saw(ltime uint64, own bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ltime <= t.top {
		t.fill(ltime)
		return
	}
	skipped := ltime - t.top - 1
	if t.began && skipped > 0 && skipped <= absurd && !(own && skipped <= ownSkip) {
		t.holes = append(t.holes, hole{from: t.top + 1, to: ltime - 1, shown: t.now()})
		t.trim()
	}
	t.top = ltime
}

// fill takes a time out of the hole that has it. t.mu is held.
func (t *Times) fill(ltime uint64) {
	at, _ := slices.BinarySearchFunc(t.holes, ltime, func(h hole, ltime uint64) int {
		if h.to < ltime {
			return -1
		}
		return 1
	})
	if at == len(t.holes) || t.holes[at].from > ltime {
		return
	}
	before, behind := t.holes[at], t.holes[at]
	before.to, behind.from = ltime-1, ltime+1
	var left []hole
	for _, h := range []hole{before, behind} {
		if h.from <= h.to {
			left = append(left, h)
		}
	}
	t.holes = slices.Replace(t.holes, at, at+1, left...)
	t.trim()
}

// trim keeps to the limit. t.mu is held.
func (t *Times) trim() {
	if n := len(t.holes) - mostHoles; n > 0 {
		if t.over == 0 {
			t.full = t.now()
		}
		t.over += n
		t.holes = slices.Delete(t.holes, 0, n)
	}
}

// Synced notes that a member has sent all that it remembers, after [Times.Saw] was told
// of each. clock is the member's: it knows of all times below.
func (t *Times) Synced(clock uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	suspect, count := t.judge(clock, t.now())
	t.suspect = t.suspect || suspect
	t.count += count
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// Run tells of holes until ctx ends.
func (t *Times) Run(ctx context.Context) error {
	for {
		select {
		case <-t.wake:
			t.tell()
		case <-ctx.Done():
			return nil
		}
	}
}

// tell tells what has been found since the last time.
func (t *Times) tell() {
	t.mu.Lock()
	suspect, count := t.suspect, t.count
	t.suspect, t.count = false, 0
	t.mu.Unlock()
	if suspect {
		t.cfg.Suspect()
	}
	if count == 0 {
		return
	}
	if !t.cfg.Mixed() {
		t.cfg.Logger.Debug("some Lamport times have no event, and all members compare their journals", "holes", count)
		return
	}
	t.counted.Add(float64(count))
	t.cfg.Logger.Warn("events may be lost before they came here, so the targets are flushed: some Lamport times have no event, and no member sends one", "holes", count)
	if err := t.cfg.Lost("events may be lost on their way: some Lamport times have none"); err != nil {
		t.cfg.Logger.Error("a suspected loss of events could not be noted", "error", err)
	}
}

// judge counts a full sync, and returns how many holes are to be told of now. suspect
// says that it is the first sync that some hole outlives. t.mu is held.
func (t *Times) judge(clock uint64, now time.Time) (suspect bool, count int) {
	if !t.began {
		t.began = true
		if clock > 0 {
			t.top = max(t.top, clock-1)
		}
		return false, 0
	}
	all, oldest := true, now
	if t.over > 0 {
		oldest = t.full
	}
	for i := range t.holes {
		h := &t.holes[i]
		if h.to >= clock {
			all = all && !h.ripe.IsZero()
			continue
		}
		h.syncs++
		suspect = suspect || h.syncs == 1
		if h.ripe.IsZero() && h.syncs >= unfilled && now.Sub(h.shown) >= settle {
			h.ripe = now
		}
		all = all && !h.ripe.IsZero()
		if !h.ripe.IsZero() && h.ripe.Before(oldest) {
			oldest = h.ripe
		}
	}
	if !t.told.IsZero() && now.Sub(t.told) < gathered || !all && now.Sub(oldest) < gathered {
		return suspect, 0
	}
	before := len(t.holes)
	t.holes = slices.DeleteFunc(t.holes, func(h hole) bool { return !h.ripe.IsZero() })
	if count = before - len(t.holes) + t.over; count > 0 {
		t.told, t.over = now, 0
	}
	return suspect, count
}
