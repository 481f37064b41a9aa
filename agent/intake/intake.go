package intake

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent/large"
	"agentctl/agent/logs"
	"agentctl/agent/script"
	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/queue"
)

const (
	// channelEvents is the buffer that serf sends into.
	channelEvents = 4096
	// queueEvents is how many events may wait between serf and the journal.
	queueEvents = 1 << 16
	// queueBytes is how many bytes they have together, but for a single one
	// that has more.
	queueBytes = 64 << 20
	// keptCapacity is for how many events the buffers of a batch are used again.
	// Those of a larger batch are let go: a burst does not hold memory for ever.
	keptCapacity = 1024
	// drainSilence is how long serf's channel has to be silent at the end: its last
	// events come through goroutines that end a moment later.
	drainSilence = 100 * time.Millisecond
	// lossSilence is for how long it is not logged, at most, that events go on
	// to be lost.
	lossSilence = time.Minute
)

// ErrStopping is what is said to who publishes when nothing is taken in any more.
var ErrStopping = errors.New("this agent is stopping: publish at another one, or once it is back")

// Log is what Intake needs of the journal.
type Log interface {
	Append(events ...handler.Event) error
	// Find gives an event that is in the journal.
	Find(id string) (journal.Record, bool)
	// Had tells whether an event is or was in the journal, as far as it remembers
	// that. Forgot tells whether it does not remember events of a Lamport time.
	Had(id string) bool
	Forgot(ltime uint64) bool
	// Gap says that n events were lost before they could be appended, and why.
	Gap(n uint64, reason string) error
}

// Intake takes what comes to this node and passes it on: user events of any way to
// the journal, for the targets; what serf hands out to runners, for scripts, and to
// subscribers, for RPC streams.
//
// Serf sends on its channel while it holds its event lock, and with a snapshot
// file it drops what the channel does not take. So one goroutine does nothing
// but move events from the channel to a bounded queue, and touches no disk, no
// network and no lock that is held across either. A second one works through
// the queue, or whoever called Take. What the queue cannot take is counted, logged, and a gap in the
// journal.
type Intake struct {
	ch      chan serf.Event
	journal Log
	logger  *slog.Logger
	metrics *metrics
	sampled logs.Sampled
	fail    func(error)
	nonce   string // tells this process's member events from an earlier one's
	began   time.Time
	queries func(*serf.Query) bool
	large   largeEvents
	taken   func(handler.Event)
	changed func(serf.MemberEvent)
	saw     func(ltime uint64, own bool)

	mu    sync.Mutex
	queue queue.Queue[arrival]
	full  uint64 // events that the queue could not take, in all
	gap   uint64 // those among them that the journal has not been told of
	// unread are messages that were dropped before they were read, and that the journal
	// has not been told of. missed are all of them.
	unread, missed uint64
	wake           chan struct{}
	pings          chan struct{} // taken by drain, to show that it works
	// releases are taken by drain, which passes on what it has gathered and closes each.
	releases chan chan struct{}
	ended    chan struct{} // closed when Run returns
	room     chan struct{} // closed when the queue was taken; nil where nobody waits
	over     bool          // the queue is taken no more

	work    dispatcher
	members uint64     // guarded by work: numbers the member events
	wanted  remembered // likewise, as awaited
	awaited awaited

	runnersMu sync.Mutex // held while an event is offered
	runners   []*script.Runner

	subsMu  sync.Mutex
	wants   atomic.Pointer[[]func() bool] // of all subs: for drain, which takes no lock
	runs    atomic.Bool                   // likewise: there are runners
	subs    map[int]subscriber
	lastSub int
}

// Config is what an Intake is made of.
type Config struct {
	Journal Log
	Runners []*script.Runner // SetRunners changes them
	// Fail is told at once when the journal fails.
	Fail func(error)
	// Taken is told of each event once the journal has it, in order. It must not
	// block. It may be nil.
	Taken func(handler.Event)
	// Saw is told of the Lamport time of each user event that comes, whatever the way,
	// also of copies; own says that it was published here. It must not block. It may be
	// nil.
	Saw func(ltime uint64, own bool)
	// Changed is told at once of each change of members, before it is gathered. It must
	// not block, nor take a lock that is held while serf is asked. It may be nil.
	Changed func(serf.MemberEvent)
	// Large sees to references to events that are too large for gossip.
	Large largeEvents
	// Queries takes the queries that are agentctl's own, and says whether one was;
	// nil: there are none.
	Queries func(*serf.Query) bool
	Logger  *slog.Logger
	Metrics prometheus.Registerer // nil: nothing is counted
}

func New(cfg Config) *Intake {
	var nonce [4]byte
	rand.Read(nonce[:]) // never fails
	in := &Intake{
		ch:       make(chan serf.Event, channelEvents),
		journal:  cfg.Journal,
		fail:     cfg.Fail,
		large:    cfg.Large,
		taken:    cfg.Taken,
		changed:  cfg.Changed,
		saw:      cfg.Saw,
		queries:  cfg.Queries,
		logger:   cfg.Logger,
		sampled:  logs.Sampled{Logger: cfg.Logger},
		nonce:    hex.EncodeToString(nonce[:]),
		began:    time.Now(),
		queue:    newArrivals(),
		wake:     make(chan struct{}, 1),
		pings:    make(chan struct{}),
		releases: make(chan chan struct{}),
		ended:    make(chan struct{}),
		subs:     map[int]subscriber{},
		work:     dispatcher{queued: newArrivals(), batch: batch{ids: map[string]int{}}},
	}
	if cfg.Metrics != nil {
		in.metrics = newMetrics(cfg.Metrics)
	}
	in.SetRunners(cfg.Runners)
	return in
}

// Events is what serf is to send its events to.
func (in *Intake) Events() chan<- serf.Event { return in.ch }

// Began is when the Intake was made: what is older is of an earlier process.
func (in *Intake) Began() time.Time { return in.began }

// SetRunners changes who gets the events from now on: when it has returned, one
// that is not among the runners is offered no more.
func (in *Intake) SetRunners(runners []*script.Runner) {
	in.runnersMu.Lock()
	defer in.runnersMu.Unlock()
	in.runners = runners
	in.runs.Store(len(runners) > 0)
}

// subscriber is told of events.
type subscriber struct {
	tell  func(serf.Event)
	wants func() bool // user events, now
}

// Subscribe calls fn with each event, in order, one call at a time. fn must not block.
// After cancel has returned fn is not called again.
func (in *Intake) Subscribe(fn func(serf.Event)) (cancel func()) {
	return in.SubscribeWhile(func() bool { return true }, fn)
}

// SubscribeWhile is Subscribe for a fn that has a use for user events only while wants says
// so: one that nobody has a use for wakes nobody. fn may be called with it all the same.
// wants must not take a lock.
func (in *Intake) SubscribeWhile(wants func() bool, fn func(serf.Event)) (cancel func()) {
	in.subsMu.Lock()
	defer in.subsMu.Unlock()
	in.lastSub++
	id := in.lastSub
	in.subs[id] = subscriber{fn, wants}
	in.listWants()
	return func() {
		in.subsMu.Lock()
		defer in.subsMu.Unlock()
		delete(in.subs, id)
		in.listWants()
	}
}

// listWants makes in.wants anew. in.subsMu is held.
func (in *Intake) listWants() {
	all := make([]func() bool, 0, len(in.subs))
	for _, s := range in.subs {
		all = append(all, s.wants)
	}
	in.wants.Store(&all)
}

// unwanted tells whether nobody has a use for an event that serf has passed on. The journal
// has had it, or will have, by the way that it came.
func (in *Intake) unwanted(e serf.Event) bool {
	u, isUser := e.(serf.UserEvent)
	return isUser && in.Unwanted(u.Name, u.Coalesce)
}

// Unwanted tells whether nobody has a use for a user event on serf's channel now. It takes
// no lock.
func (in *Intake) Unwanted(name string, coalesce bool) bool {
	if coalesce || name == large.EventName || in.runs.Load() {
		return false // a coalesced event is for those that listen when it is due
	}
	wants := in.wants.Load()
	return wants == nil || !slices.ContainsFunc(*wants, func(wanted func() bool) bool { return wanted() })
}

// Run works until ctx ends and then passes on what has come so far. Serf must
// have shut down by then, or have nobody left to wait for. When the journal
// fails, fail is told and Run goes on only to empty serf's channel: the agent
// cannot end otherwise. What comes then is lost as when the queue is full.
func (in *Intake) Run(ctx context.Context) error {
	defer close(in.ended)
	stop := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		err := in.dispatch(stop)
		if err != nil {
			in.mu.Lock()
			in.wakeTakers(true)
			in.mu.Unlock()
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
	var members gatherer
	due := time.NewTimer(time.Hour)
	defer due.Stop()
	for ended := ctx.Done(); ; {
		select {
		case e := <-in.ch:
			in.gather(e, &members, due)
			continue
		case <-due.C:
			in.release(&members)
			continue
		case <-in.pings:
			continue
		case done := <-in.releases:
			in.release(&members)
			close(done)
			continue
		case <-ended:
		}
		quiet := time.NewTimer(drainSilence)
		select {
		case e := <-in.ch:
			quiet.Stop()
			in.gather(e, &members, due)
		case <-quiet.C:
			in.release(&members)
			return
		}
	}
}
