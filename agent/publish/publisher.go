package publish

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent/broadcast"
	"agentctl/agent/gossip"
	"agentctl/agent/intake"
	"agentctl/agent/large"
	"agentctl/agent/logs"
	"agentctl/agent/peers"
	"agentctl/handler"
	"agentctl/handler/backoff"
)

const (
	// holdTime is how long publishes wait for a join that was asked for, from the
	// first of them on.
	holdTime = 5 * time.Second
	// largeWarnEvery is how often it is logged that large events do not reach all.
	largeWarnEvery = time.Minute
	// clockMargin is how far beyond the journal a node that came back sets its
	// event clock, where it publishes before it has met another. What it published
	// in the milliseconds before a crash may be at other nodes and not in its
	// journal. An event that took such a Lamport time again, with the same payload,
	// would be the same event to them, and dropped. Once it has met others their
	// clock rules, and it is not set forward for nothing: that takes as much from
	// serf's window for events that are on their way, in the whole cluster.
	clockMargin = 128
)

// Config is what a [Publisher] is made of.
type Config struct {
	Self   string // this node's name
	Node   *gossip.Node
	Intake *intake.Intake
	Large  *large.Bodies
	Peers  *peers.Peers
	// Broadcast brings events to the other members.
	Broadcast *broadcast.Broadcast

	// Limit is the most bytes that an event's payload may have for all members to
	// get it. The name comes on top of it, as far as gossip carries the event in a
	// packet, where it has MaxMessage bytes at most. A larger event may have Limit
	// bytes of name and payload together.
	Limit, MaxMessage int
	// MaxEvent is the most bytes that peers get, of name and payload together.
	MaxEvent int
	// MayRefer tells whether an event may be published by reference.
	MayRefer func(name string, payload []byte) bool

	// Joined is closed when there is no join left to wait for.
	Joined <-chan struct{}
	// Sending ends when nothing is to be sent any more.
	Sending context.Context
	// Returning says that this node was away, and LastLTime is the last Lamport
	// time of a user event in its journal.
	Returning bool
	LastLTime uint64

	// Publishing is called before an event goes to the cluster, one call at a
	// time; it must not block. It may be nil.
	Publishing func(name string, payload []byte)
	// Refused is told of the Lamport time of an event of a peer that cannot have it.
	Refused func(ltime uint64)

	Logger  *slog.Logger
	Metrics prometheus.Registerer // nil: nothing is counted
}

// Publisher gives events their Lamport times and sends them. Its methods are safe
// for concurrent use.
type Publisher struct {
	cfg     Config
	metrics *metrics
	quiet   quiet
	sampled logs.Sampled // for lines that a client or a peer can cause

	one   lock  // one publish at a time, in the order in which all get the events
	burst burst // of whoever holds it, as ready
	ready bool  // the event clock was set for a publish without others

	holdOnce sync.Once
	held     chan struct{} // closed when publishes have waited long enough for a join
}

// New makes a Publisher.
func New(cfg Config) *Publisher {
	p := &Publisher{
		cfg:     cfg,
		sampled: logs.Sampled{Logger: cfg.Logger},
		one:     make(lock, 1),
		held:    make(chan struct{}),
	}
	if cfg.Metrics != nil {
		p.metrics = newMetrics(cfg.Metrics)
	}
	return p
}

// Sent is an event as it was sent.
type Sent struct {
	serf.UserEvent
	// Unreached names the members that get no event so large, as far as is known,
	// and Warning says so in a sentence. Only Report fills them in.
	Unreached []string
	Warning   string

	byReference bool // serf has only a reference to it
}

// ID is the event's ID, the same on every node.
func (e *Sent) ID() string { return handler.UserID(uint64(e.LTime), handler.Sum(e.Name, e.Payload)) }

// Publish sends a user event to the cluster, this node included. It returns once
// serf has taken it; that the others have it is not known then.
//
// While a join that was asked for is under way Publish waits, until five seconds
// after the first publish: an event published before joining an older cluster
// carries a Lamport time that is too old there. Publishes go one after another,
// since serf reads and advances its clock in two steps and merges equal events
// that come at once.
//
// If ctx ends while Publish waits, for a join, for another publish or for room in
// the intake, it returns the error of ctx and the event goes nowhere. Other errors
// are a [*SizeError], [ErrReserved] and [ErrStopping].
func (p *Publisher) Publish(ctx context.Context, name string, payload []byte, coalesce bool) (e Sent, err error) {
	defer func() { p.metrics.published(err) }()
	if err := p.allowed(name, payload); err != nil {
		return e, err
	}
	if err := p.hold(ctx); err != nil {
		return e, err
	}
	if err := p.one.lock(ctx, p.cfg.Sending); err != nil {
		return e, err
	}
	defer p.one.unlock()
	if p.cfg.Publishing != nil {
		p.cfg.Publishing(name, payload)
	}
	p.alone()
	return p.send(ctx, name, payload, coalesce)
}

// Report is Publish, and names the members that do not get the event. For that it
// may wait some two seconds, if members have not said yet what they are.
func (p *Publisher) Report(ctx context.Context, name string, payload []byte, coalesce bool) (Sent, error) {
	e, err := p.Publish(ctx, name, payload, coalesce)
	if err == nil && e.byReference {
		p.tell(ctx, &e)
	}
	return e, err
}

// flushLook is how often Flush looks whether all was sent.
const flushLook = time.Millisecond

// Flush waits until the events that were published before are with the peers, and were
// sent straight to other members, at most until ctx ends. It is for a node that is
// about to leave; gossip carries the rest.
func (p *Publisher) Flush(ctx context.Context) {
	if p.one.lock(ctx, p.cfg.Sending) != nil {
		return
	}
	p.one.unlock() // a publish that was under way is through
	for p.cfg.Broadcast.Waiting() > 0 && backoff.Sleep(ctx, flushLook) == nil {
	}
}

// hold waits for a join that was asked for, but not for long.
func (p *Publisher) hold(ctx context.Context) error {
	select {
	case <-p.cfg.Joined:
		return nil
	default:
	}
	p.holdOnce.Do(func() {
		time.AfterFunc(holdTime, func() {
			close(p.held)
			select {
			case <-p.cfg.Joined:
			default:
				p.cfg.Logger.Error("publishing although no node could be joined yet: nodes that are joined later may not get these events")
			}
		})
	})
	select {
	case <-p.cfg.Joined:
	case <-p.held:
	case <-p.cfg.Sending.Done():
		return ErrStopping
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// alone makes ready for a publish by a node that came back and has not met another
// yet. p.one is held.
func (p *Publisher) alone() {
	if p.cfg.Returning && !p.ready && p.cfg.Node.NumNodes() == 1 {
		p.cfg.Node.Witness(p.cfg.LastLTime + clockMargin)
		p.ready = true
	}
}

// send gives an event its Lamport time and sends it on: to this node's own intake,
// to serf for the gossip, and straight to the others. p.one is held, so the order
// of calls is that in which this node and its peers get the events.
func (p *Publisher) send(ctx context.Context, name string, payload []byte, coalesce bool) (e Sent, err error) {
	e.UserEvent = serf.UserEvent{Name: name, Payload: payload, Coalesce: coalesce}
	var m gossip.Message
	p.message(&e, &m)
	if err := p.cfg.fits(&m); err != nil {
		if !p.cfg.MayRefer(name, payload) {
			return e, err
		}
		e.byReference = true
		p.message(&e, &m)
	}
	raw, err := m.Encode()
	if err != nil {
		return e, err
	}
	if err := p.cfg.Intake.Take(ctx, intake.Local, e.UserEvent); err != nil {
		return e, err
	}
	forLinks := raw
	if e.byReference {
		forLinks = large.Pack(raw, payload)
		p.cfg.Large.Published()
	}
	held := p.cfg.Broadcast.Send(forLinks, raw)
	p.inject(raw, 0, held) // as if it had come from a member
	return e, nil
}

// message makes serf's message for an event, which it gives a Lamport time.
func (p *Publisher) message(e *Sent, m *gossip.Message) {
	*m = gossip.Message{Name: e.Name, Payload: e.Payload, CC: e.Coalesce}
	if e.byReference {
		ref := large.Refer(e.Name, e.Payload, p.cfg.Self)
		m.Name, m.Payload = large.EventName, ref.Encode()
	}
	m.LTime = p.burst.next(serf.LamportTime(p.cfg.Node.EventClock()), m.Name, m.Payload, time.Now())
	e.LTime = m.LTime
}
