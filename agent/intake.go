package agent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/handler"
)

const (
	// intakeChan is the buffer that serf sends into.
	intakeChan = 4096
	// intakeQueue is how many events may wait between serf and the journal.
	intakeQueue = 1 << 16
	// intakeQuiet is how long serf's channel has to be silent at the end: what
	// serf gathers of member events comes as it shuts down, a moment later.
	intakeQuiet = 100 * time.Millisecond
)

// eventLog is what Intake needs of the journal.
type eventLog interface {
	Append(events ...handler.Event) error
	// Gap says that n events were lost before they could be appended.
	Gap(n uint64) error
}

// Intake takes what serf hands out and passes it on: to the journal, for the
// targets; to runners, for scripts; to subscribers, for RPC streams.
//
// Serf sends on its channel while it holds its event lock, and with a snapshot
// file it drops what the channel does not take. So one goroutine does nothing
// but move events from the channel to a bounded queue, and touches no disk, no
// network and no lock that is held across either. A second one works through
// the queue. What the queue cannot take is counted, logged, and a gap in the
// journal.
type Intake struct {
	ch      chan serf.Event
	journal eventLog
	logger  *slog.Logger
	metrics *metrics
	fail    func(error) // told at once when the journal fails
	nonce   string      // tells this process's member events from an earlier one's

	mu    sync.Mutex
	queue []arrival
	full  uint64 // events that the queue could not take, in all
	gap   uint64 // those among them that the journal has not been told of
	wake  chan struct{}

	members uint64 // of dispatch only: numbers the member events

	runnersMu sync.Mutex // held while an event is offered
	runners   []*runner

	subsMu  sync.Mutex
	subs    map[int]func(serf.Event)
	lastSub int
}

// arrival is an event and when it came.
type arrival struct {
	event serf.Event
	at    time.Time
}

func newIntake(journal eventLog, runners []*runner, fail func(error), logger *slog.Logger, m *metrics) *Intake {
	var nonce [4]byte
	rand.Read(nonce[:]) // never fails
	in := &Intake{
		ch:      make(chan serf.Event, intakeChan),
		journal: journal,
		fail:    fail,
		logger:  logger,
		metrics: m,
		nonce:   hex.EncodeToString(nonce[:]),
		wake:    make(chan struct{}, 1),
		subs:    map[int]func(serf.Event){},
	}
	in.setRunners(runners)
	return in
}

// setRunners changes who gets the events from now on: when it has returned, one
// that is not among the runners is offered no more.
func (in *Intake) setRunners(runners []*runner) {
	in.runnersMu.Lock()
	defer in.runnersMu.Unlock()
	in.runners = runners
}

// Subscribe calls fn with each event, in order, from one goroutine. fn must
// not block. After cancel has returned fn is not called again.
func (in *Intake) Subscribe(fn func(serf.Event)) (cancel func()) {
	in.subsMu.Lock()
	defer in.subsMu.Unlock()
	in.lastSub++
	id := in.lastSub
	in.subs[id] = fn
	return func() {
		in.subsMu.Lock()
		defer in.subsMu.Unlock()
		delete(in.subs, id)
	}
}

// Run works until ctx ends and then passes on what has come so far. Serf must
// have shut down by then, or have nobody left to wait for. When the journal
// fails, fail is told and Run goes on only to empty serf's channel: the agent
// cannot end otherwise. What comes then is lost as when the queue is full.
func (in *Intake) Run(ctx context.Context) error {
	stop := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		err := in.dispatch(stop)
		if err != nil {
			in.fail(err)
		}
		done <- err
	}()
	in.drain(ctx)
	close(stop)
	return <-done
}

// drain empties serf's channel, at once and always.
func (in *Intake) drain(ctx context.Context) {
	for ended := ctx.Done(); ; {
		select {
		case e := <-in.ch:
			in.enqueue(e)
			continue
		case <-ended:
		}
		quiet := time.NewTimer(intakeQuiet)
		select {
		case e := <-in.ch:
			quiet.Stop()
			in.enqueue(e)
		case <-quiet.C:
			return
		}
	}
}

func (in *Intake) enqueue(e serf.Event) {
	a := arrival{e, time.Now()}
	in.mu.Lock()
	full := len(in.queue) >= intakeQueue
	if full {
		in.full++
		in.gap++
	} else {
		in.queue = append(in.queue, a)
	}
	count := in.full
	in.mu.Unlock()
	if full {
		in.metrics.dropped("intake_full", 1)
		if powerOfTwo(count) {
			in.logger.Error("events are lost: the journal does not take them in time",
				"lost", count, "event", e.String())
		}
		return
	}
	select {
	case in.wake <- struct{}{}:
	default: // dispatch has been told already
	}
}

// take empties the queue and tells how many events were lost behind it.
func (in *Intake) take(spare []arrival) (taken []arrival, gap uint64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	taken, gap = in.queue, in.gap
	in.queue, in.gap = spare[:0], 0
	return taken, gap
}

// dispatch passes events on in batches of whatever has gathered.
func (in *Intake) dispatch(stop <-chan struct{}) error {
	var (
		spare  []arrival
		events []handler.Event
		held   coalescer
	)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for stopping := false; ; {
		batch, gap := in.take(spare)
		events = events[:0]
		for _, a := range batch {
			if e, ok := in.convert(a); ok {
				events = append(events, e)
			}
		}
		if len(events) > 0 {
			if err := in.journal.Append(events...); err != nil {
				return fmt.Errorf("journal: %w", err)
			}
		}
		if gap > 0 {
			if err := in.journal.Gap(gap); err != nil {
				return fmt.Errorf("journal: %w", err)
			}
		}
		for _, a := range batch {
			in.metrics.received(a.event.EventType().String())
			if !held.add(a.event, a.at) {
				in.emit(a.event)
			}
		}
		clear(batch)
		clear(events)
		spare = batch
		due, waiting := held.due()
		if waiting && (stopping || !time.Now().Before(due)) {
			for _, e := range held.flush() {
				in.emit(e)
			}
			waiting = false
		}
		if stopping {
			return nil
		}
		if waiting {
			timer.Reset(time.Until(due))
		}
		select {
		case <-in.wake:
		case <-timer.C:
		case <-stop:
			stopping = true // once more round, for what is left
		}
	}
}

// convert makes the journal's event of a user or member event. Queries are not
// for the journal: they are answered now or never.
func (in *Intake) convert(a arrival) (handler.Event, bool) {
	switch e := a.event.(type) {
	case serf.UserEvent:
		return handler.NewUser(uint64(e.LTime), e.Name, e.Payload, a.at), true
	case serf.MemberEvent:
		in.members++
		id := fmt.Sprintf("m-%s-%d", in.nonce, in.members)
		return handler.NewMember(handler.Type(e.Type.String()), id, memberLines(e.Members), a.at), true
	}
	return handler.Event{}, false
}

// emit hands e to the subscribers and the runners. A query's deadline is read
// first: serf changes it, unguarded, when someone responds.
func (in *Intake) emit(e serf.Event) {
	t := task{event: e}
	if q, ok := e.(*serf.Query); ok {
		t.deadline = q.Deadline()
	}
	in.subsMu.Lock()
	for _, fn := range in.subs {
		fn(e)
	}
	in.subsMu.Unlock()
	in.runnersMu.Lock()
	defer in.runnersMu.Unlock()
	for _, r := range in.runners {
		r.offer(t)
	}
}

// memberLines is what serf writes to a script's stdin for these members.
func memberLines(members []serf.Member) []byte {
	var lines []byte
	for _, m := range members {
		lines = append(lines, handler.MemberLine(m.Name, m.Addr.String(), m.Tags["role"], m.Tags)...)
	}
	return lines
}

// nameOf is the name that filters look at.
func nameOf(e serf.Event) string {
	switch e := e.(type) {
	case serf.UserEvent:
		return e.Name
	case *serf.Query:
		return e.Name
	}
	return ""
}

// powerOfTwo thins out a log line that would come with each of a great many
// drops.
func powerOfTwo(n uint64) bool { return n&(n-1) == 0 }
