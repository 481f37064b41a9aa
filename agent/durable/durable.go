package durable

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent/delegate"
	"agentctl/handler/backoff"
)

// MaxNodes is how many nodes a publish may ask for.
const MaxNodes = 10_000

const (
	// askMore is how long the nodes that were asked have to answer, until one more is.
	askMore = 200 * time.Millisecond
	// settleTime is how long members have to say whether they are peers, where too few
	// have said so.
	settleTime = 2 * time.Second
	// settlePoll is how often it is looked whether they have.
	settlePoll = 20 * time.Millisecond
)

// Member is another node that counts as alive.
type Member struct {
	Name   string
	Peer   bool // it is known to be agentctl, with peer links
	Unsure bool // it may still say that it is
}

// Config is what a [Durable] is made of.
type Config struct {
	Self string // this node's name
	// Had tells whether an event is or was in this node's journal.
	Had func(id string) bool
	// Sync waits until the journal's file has all that the journal has. It is nil if
	// this node has no data directory.
	Sync func(context.Context) error
	// Failing says why the disk does not take the journal now, "" if it does.
	Failing func() string
	// Members are the other members; nil if there are no links.
	Members func() []Member
	// Alive are the names of the other members that are alive, whether they are known to
	// be peers or not; nil if there are no links.
	Alive func() []string
	// Ask sends a request to a peer, as [link.Links.Request] does.
	Ask     func(ctx context.Context, name string, req []byte) ([]byte, error)
	Metrics prometheus.Registerer // nil: nothing is counted
}

// Durable waits until events are on the disks of several nodes, and tells other nodes
// of those on this one's. Its methods are safe for concurrent use.
type Durable struct {
	cfg       Config
	metrics   *metrics
	arrivals  arrivals
	handling  chan struct{} // a slot for each request of a peer
	delegates *delegate.Delegates

	mu    sync.Mutex
	peers map[string]*peer // by name
}

// New makes a Durable. Took has to be called from then on.
func New(cfg Config) *Durable {
	d := &Durable{cfg: cfg, handling: make(chan struct{}, handledAtOnce), peers: map[string]*peer{}}
	if cfg.Metrics != nil {
		d.metrics = newMetrics(cfg.Metrics)
	}
	d.delegates = delegate.New(delegate.Config{
		Self: cfg.Self, Version: delegatedVersion, Here: d.forOthers, Others: d.others, Handled: d.metrics.delegated,
	})
	return d
}

// Report says who has an event that was published.
type Report struct {
	Wanted int
	Have   []string // the nodes that have it in a synced journal, by name
	// Missing says of each other node that was asked why it is not among them.
	Missing map[string]string
}

// Reached tells whether as many nodes have the event as were asked for.
func (r *Report) Reached() bool { return len(r.Have) >= r.Wanted }

// Publish has an event published, and waits until n nodes have it in a synced journal,
// or ctx ends. The function publishes it and returns its ID.
//
// If fewer than n nodes can have it, the error is a [*TooFewError], and publish was not
// called. Other errors are those of publish. If time was up, the Report tells how many
// have the event.
func (d *Durable) Publish(ctx context.Context, n int, publish func(context.Context) (id string, err error)) (r Report, err error) {
	result := "refused"
	defer func() { d.metrics.published(result) }()
	nodes, err := d.able(ctx, n)
	if err != nil {
		return r, err
	}
	id, err := publish(ctx)
	if err != nil {
		return r, err
	}
	if r = d.confirm(ctx, id, n, nodes); r.Reached() {
		result = "reached"
	} else {
		result = "missed"
	}
	return r, nil
}

// able names nodes that keep a journal on a disk that works: n of them, and then those
// of which it is not known.
func (d *Durable) able(ctx context.Context, n int) (nodes []string, err error) {
	e := &TooFewError{Wanted: n, Why: map[string]string{}}
	settled := time.Now().Add(settleTime)
	for asked := map[string]bool{}; ; {
		names, unsure := d.nodes(e.Why)
		names = slices.DeleteFunc(names, func(name string) bool { return asked[name] })
		have, rest := d.gather(ctx, n-len(e.Able), names, e.Why, "", d.askAble)
		e.Able = append(e.Able, have...)
		if len(e.Able) >= n {
			return append(e.Able, rest...), nil
		}
		for _, name := range names {
			asked[name] = true
		}
		if !unsure || time.Now().After(settled) || backoff.Sleep(ctx, settlePoll) != nil {
			return nil, e
		}
	}
}

// nodes names this node and then the peers, in the order in which they are asked. Of the
// other members, why says what they are. It is unsure if one of those may still say that
// it is a peer.
func (d *Durable) nodes(why map[string]string) (names []string, unsure bool) {
	if d.cfg.Members == nil {
		return []string{d.cfg.Self}, false
	}
	known := map[string]*peer{}
	members := d.cfg.Members()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range members {
		if !m.Peer {
			why[m.Name] = "is not known to be agentctl with peer links"
			unsure = unsure || m.Unsure
			continue
		}
		delete(why, m.Name)
		names = append(names, m.Name)
		known[m.Name] = d.peers[m.Name]
		if known[m.Name] == nil {
			known[m.Name] = &peer{durable: d, name: m.Name}
		}
	}
	d.peers = known // what waits at one that is gone ends with its publish
	// By name, beginning behind this node's own. So a publisher asks the same peers each
	// time, whose syncs its events share, and different publishers ask different peers.
	slices.Sort(names)
	behind, _ := slices.BinarySearch(names, d.cfg.Self)
	return slices.Concat([]string{d.cfg.Self}, names[behind:], names[:behind]), unsure
}

func (d *Durable) peer(name string) *peer {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.peers[name]
}

// verdict is what a node says, or is known to say: why it cannot have events on a disk,
// or has not this one; "" if it can, or has.
type verdict struct{ node, why string }

// askAble asks a node whether it keeps a journal on a disk that works.
func (d *Durable) askAble(ctx context.Context, name string, verdicts chan<- verdict) {
	switch p := d.peer(name); {
	case name == d.cfg.Self:
		verdicts <- verdict{name, d.unable()}
	case p == nil || p.fresh():
		verdicts <- verdict{name, ""} // one that is gone will be found to be
	default:
		go func() { verdicts <- verdict{name, p.able(ctx)} }()
	}
}

// confirm asks nodes until n of them have an event on their disks.
func (d *Durable) confirm(ctx context.Context, id string, n int, nodes []string) Report {
	r := Report{Wanted: n, Missing: map[string]string{}}
	r.Have, _ = d.gather(ctx, n, nodes, r.Missing, id, func(ctx context.Context, name string, verdicts chan<- verdict) {
		switch p := d.peer(name); {
		case name == d.cfg.Self:
			go func() { verdicts <- verdict{name, d.here(ctx, id)} }()
		case p == nil:
			verdicts <- verdict{name, "is no member any more"}
		default:
			p.add(&wish{ctx: ctx, id: id, verdicts: verdicts})
		}
	})
	slices.Sort(r.Have)
	return r
}

// asking has a node asked. It does not wait, and gives the verdict to the channel, which
// has room for it.
type asking func(ctx context.Context, name string, verdicts chan<- verdict)

// gather asks nodes until n of them have said yes: n of them at first, and others for
// those that say no or nothing. It returns who said yes and who was not asked, and notes
// the rest in why. A node that has no answer is asked no more when gather returns. The
// question is about the event with this ID, or about no event.
func (d *Durable) gather(ctx context.Context, n int, nodes []string, why map[string]string, id string, ask asking) (have, rest []string) {
	if n > delegate.Few && d.cfg.Alive != nil {
		return d.gatherWidely(ctx, n, nodes, why, id, ask)
	}
	return gather(ctx, n, nodes, why, ask)
}

// gather is [Durable.gather] without delegates. It asks one more node for each that says
// no, and each time that none has answered for a while.
func gather(ctx context.Context, n int, nodes []string, why map[string]string, ask asking) (have, rest []string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	verdicts := make(chan verdict, len(nodes))
	rest = nodes
	next := func() {
		if len(rest) > 0 {
			why[rest[0]] = "has not answered in time"
			ask(ctx, rest[0], verdicts)
			rest = rest[1:]
		}
	}
	for range n {
		next()
	}
	more := time.NewTicker(askMore)
	defer more.Stop()
	for said := 0; len(have) < n && said < len(nodes); {
		select {
		case v := <-verdicts:
			said++
			more.Reset(askMore)
			if v.why != "" {
				why[v.node] = v.why
				next()
				continue
			}
			delete(why, v.node)
			have = append(have, v.node)
		case <-more.C:
			next()
		case <-ctx.Done():
			return have, rest
		}
	}
	return have, rest
}
