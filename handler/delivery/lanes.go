package delivery

import (
	"context"
	"sync"

	"agentctl/handler/journal"
	"agentctl/handler/target"
)

// maxTaken bounds the events that are taken from a cursor and not settled. A file holds
// as many settled exceptions of a cursor. With more, a crash would make acknowledged
// events come again.
const maxTaken = journal.MaxSettledExceptions

// job is an event that was taken from the cursor.
type job struct {
	journal.Record
	key   uint64 // events of one key go one after another
	keyed bool   // an event without a key goes alone
}

// source gives a worker its next event, and waits until one may begin. The worker says
// which event it has settled; that is nil at first.
type source func(ctx context.Context, done *job) (*job, error)

// lanes are a source for several workers. Events of one key are in one lane: they begin
// one after another, in the order in which they were taken. An event without a key
// begins when all events before it are settled. No event behind it begins before it is
// settled itself.
//
// An event is taken only when a worker has nothing else to begin. Until then it can
// still collapse with a later one. If an event has to wait for another of its key, the
// lanes take the next one, until the window is full of taken events.
type lanes struct {
	take   func(context.Context) (journal.Record, error)
	key    target.OrderKey
	window int

	mu     sync.Mutex
	wakeup sync.Cond         // signalled when a waiting worker may find an event
	behind map[uint64][]*job // for each key with a begun event, those that wait for it
	alone  *job              // the event without a key; while there is one, no other is taken
	taken  int               // events that are taken and not settled
	taking bool              // a worker waits for the cursor
}

func newLanes(take func(context.Context) (journal.Record, error), key target.OrderKey, window int) *lanes {
	l := &lanes{take: take, key: key, window: window, behind: make(map[uint64][]*job)}
	l.wakeup.L = &l.mu
	return l
}

// wake makes waiting workers look at their contexts.
func (l *lanes) wake() {
	l.mu.Lock() // else a worker that has just looked at its context would miss it
	defer l.mu.Unlock()
	l.wakeup.Broadcast()
}

// next is a source. Settling or taking one event makes at most one other event
// runnable, and the worker that caused it gets it. The other workers wait until one of
// them may take an event; each that leaves with an event wakes another then. When ctx
// ends, somebody has to call wake.
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

// takeOne takes an event from the cursor. It gives up the lock while it waits for the
// cursor and computes the key.
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

// add puts an event that was taken into its lane, and returns it if it may begin at
// once.
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

// settle returns the event that may begin since j is settled, or nil.
func (l *lanes) settle(j *job) *job {
	l.taken--
	if !j.keyed {
		l.alone = nil
		return nil
	}
	if behind := l.behind[j.key]; len(behind) > 0 {
		next := behind[0]
		behind[0] = nil // so that it can be freed before the rest
		l.behind[j.key] = behind[1:]
		return next
	}
	delete(l.behind, j.key)
	if l.taken == 1 {
		return l.alone // the event that is left, if it has no key
	}
	return nil
}
