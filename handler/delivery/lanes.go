package delivery

import (
	"context"
	"sync"

	"agentctl/handler/journal"
	"agentctl/handler/target"
)

// maxTaken bounds what is taken from a cursor and not through. It is what a
// Disk can write of a cursor: with more, a crash would make what was
// acknowledged come again.
const maxTaken = journal.MaxSettledExceptions

// job is an event on its way from the cursor to its end.
type job struct {
	journal.Record
	key   uint64 // those of one key go one after the other
	keyed bool   // without a key it goes alone
}

// source gives workers their events. It is told which event is through, nil at
// first, and waits for the next that may begin.
type source func(ctx context.Context, done *job) (*job, error)

// lanes are a source for several workers at once. Events of one key begin one
// after the other, in the order in which they were taken. One without a key
// begins when all taken before it are through, and none behind it does before
// it is through itself.
//
// An event is taken only when a worker has nothing else to begin, and so no
// sooner than it must be: until then it can still collapse with a later one.
// Past an event that has to wait for another of its key the next is looked at,
// until so many wait that the window is full.
type lanes struct {
	take   func(context.Context) (journal.Record, error)
	key    target.OrderKey
	window int

	mu     sync.Mutex
	wakeup sync.Cond         // a worker that waits may find something to do
	behind map[uint64][]*job // of each key that has an event begun: those that wait for it
	alone  *job              // the event without a key; while there is one, none is taken behind it
	taken  int               // and not through
	taking bool              // a worker waits for the cursor
}

func newLanes(take func(context.Context) (journal.Record, error), key target.OrderKey, window int) *lanes {
	l := &lanes{take: take, key: key, window: window, behind: make(map[uint64][]*job)}
	l.wakeup.L = &l.mu
	return l
}

// wake makes waiting workers look at their contexts.
func (l *lanes) wake() {
	l.mu.Lock() // else one that has just looked would miss it
	defer l.mu.Unlock()
	l.wakeup.Broadcast()
}

// next is a source. Whatever may begin since an event is through or was taken
// is one event at most, and goes to the worker that made it so. The others wait
// until one may be taken: each that leaves with an event wakes another then.
// After the end of ctx somebody has to call wake.
func (l *lanes) next(ctx context.Context, done *job) (*job, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ready *job
	if done != nil {
		ready = l.settle(done)
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if ready != nil {
			break
		}
		if !l.mayTake() {
			l.wakeup.Wait()
			continue
		}
		j, err := l.takeOne(ctx)
		if err != nil {
			return nil, err
		}
		ready = l.add(j)
	}
	if l.mayTake() {
		l.wakeup.Signal()
	}
	return ready, nil
}

func (l *lanes) mayTake() bool { return !l.taking && l.alone == nil && l.taken < l.window }

// takeOne gives up the lock while it waits for the cursor and finds the key.
func (l *lanes) takeOne(ctx context.Context) (*job, error) {
	l.taking = true
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.taking = false
	}()
	rec, err := l.take(ctx)
	if err != nil {
		return nil, err
	}
	j := &job{Record: rec}
	j.key, j.keyed = l.key.Of(&j.Event)
	return j, nil
}

// add puts an event that was taken where it belongs, and returns it if it may
// begin at once.
func (l *lanes) add(j *job) *job {
	l.taken++
	if !j.keyed {
		l.alone = j
		if l.taken > 1 {
			return nil
		}
		return j
	}
	behind, busy := l.behind[j.key]
	if busy {
		l.behind[j.key] = append(behind, j)
		return nil
	}
	l.behind[j.key] = nil
	return j
}

// through returns the event that may begin since j is through, or nil.
func (l *lanes) settle(j *job) *job {
	l.taken--
	if !j.keyed {
		l.alone = nil
		return nil
	}
	if behind := l.behind[j.key]; len(behind) > 0 {
		next := behind[0]
		behind[0] = nil // to be freed before the rest is
		l.behind[j.key] = behind[1:]
		return next
	}
	delete(l.behind, j.key)
	if l.taken == 1 {
		return l.alone // it is the one that is left, if there is one
	}
	return nil
}
