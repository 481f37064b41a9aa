package intake

import (
	"agentctl/agent/script"
	"agentctl/handler/queue"
	"context"
	"time"

	"github.com/hashicorp/serf/serf"
)

// arrival is an event, when it came, and how.
type arrival struct {
	event  serf.Event // nil: nothing came, but settled is to be closed
	id     string     // of a user event that serf has not passed
	at     time.Time
	way    Way
	passed bool // by serf, which had it from somewhere

	settled chan struct{}
}

// journaled tells whether an arrival may be for the journal. A user event came to it
// before serf has passed it, and a query is answered now or never.
func (a *arrival) journaled() bool {
	typ := a.event.EventType()
	return typ != serf.EventQuery && (typ != serf.EventUser || !a.passed)
}

// Way is how a copy of an event came to this node.
type Way int

const (
	Gossip Way = iota // or straight from a member, or by a full sync
	Link
	Local // it was published here
	Repair
	Fetch // once its reference had come by gossip
)

func (w Way) String() string { return [...]string{"gossip", "link", "local", "repair", "fetch"}[w] }

func newArrivals() queue.Queue[arrival] { return queue.New[arrival](queueEvents, queueBytes) }

// Receive takes in a user event that a member sent, as a [gossip.Receive] does: it never
// waits. An event that does not fit in the queue is counted, logged, and a gap in the
// journal. Of what comes by a full sync, which brings the same events each time, it
// leaves out what the journal may have had and does not remember.
func (in *Intake) Receive(e serf.UserEvent, synced bool) {
	in.note(&e, Gossip)
	id := idOf(&e)
	if in.journal.Had(id) || synced && in.journal.Forgot(uint64(e.LTime)) {
		in.metrics.copied(Gossip)
		return
	}
	in.enqueue(arrival{event: e, id: id, way: Gossip})
}

// Take passes user events to the journal that no member sent by itself, in order. It waits
// for room in the queue, at most until ctx ends, and returns its error then. Once the queue
// is taken no more, as Run ends or the journal has failed, it returns ErrStopping. After an
// error those events that had room are taken.
//
// Without others at work the caller's goroutine itself passes them on, before Take returns.
func (in *Intake) Take(ctx context.Context, w Way, events ...serf.UserEvent) error {
	for i := range events {
		e := &events[i]
		if err := in.put(ctx, arrival{event: *e, id: idOf(e), at: time.Now(), way: w}); err != nil {
			in.wakeDispatch() // for those before
			return err
		}
		in.note(e, w)
	}
	in.dispatchHere()
	return nil
}

// put queues what has come as soon as there is room, and wakes dispatch only for that.
func (in *Intake) put(ctx context.Context, a arrival) error {
	for {
		in.mu.Lock()
		if in.over {
			in.mu.Unlock()
			return ErrStopping
		}
		if in.push(a) {
			in.mu.Unlock()
			return nil
		}
		if in.room == nil {
			in.room = make(chan struct{})
		}
		room := in.room
		in.mu.Unlock()
		in.wakeDispatch()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// note tells Saw of an event that has come.
func (in *Intake) note(e *serf.UserEvent, w Way) {
	if in.saw != nil {
		in.saw(uint64(e.LTime), w == Local)
	}
}

// Settle waits until what was taken before is in the journal, at most until ctx
// ends, and returns its error then.
func (in *Intake) Settle(ctx context.Context) error {
	settled := make(chan struct{})
	in.mu.Lock()
	in.queue.Force(arrival{settled: settled}, 0) // one more than the queue has room for, at worst
	in.mu.Unlock()
	in.wakeDispatch()
	select {
	case <-settled:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enqueue queues what has come, or counts it as lost. It never waits.
func (in *Intake) enqueue(a arrival) {
	a.at = time.Now()
	in.mu.Lock()
	full := !in.push(a)
	if full {
		in.full++
		if a.journaled() {
			in.gap++
		}
	}
	count := in.full
	in.mu.Unlock()
	if full {
		in.metrics.dropped()
		if in.sampled.Nth("lost", count, lossSilence) {
			in.logger.Error("events are lost: the journal does not take them in time",
				"lost", count, "event", a.event.String())
		}
		return
	}
	in.wakeDispatch()
}

// push queues what has come, where there is room. in.mu is held.
func (in *Intake) push(a arrival) bool {
	return in.queue.Push(a, script.SizeOf(a.event))
}

func (in *Intake) wakeDispatch() {
	select {
	case in.wake <- struct{}{}:
	default: // dispatch has been told already
	}
}

// take exchanges the queue for an empty one, and tells what was lost behind it. The last
// time it refuses what Take would add behind that.
func (in *Intake) take(batch *queue.Queue[arrival], last bool) (lost losses) {
	in.mu.Lock()
	defer in.mu.Unlock()
	lost = losses{full: in.gap, unread: in.unread}
	in.gap, in.unread = 0, 0
	in.queue, *batch = *batch, in.queue
	in.wakeTakers(last)
	return lost
}

// wakeTakers wakes those who wait for room, and tells them whether there will be none
// any more. in.mu is held.
func (in *Intake) wakeTakers(over bool) {
	in.over = over
	if in.room != nil {
		close(in.room)
		in.room = nil
	}
}
