package peers

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"agentctl/agent/link"
	"agentctl/agent/logs"
)

const (
	// Silence is for how long after the first question a caller should wait for a
	// member to answer. A member that says nothing for so long is taken for none
	// of ours.
	Silence = 2 * time.Second
	// membersAge is for how long a list of the members is used to tell whether a
	// name that came over the network is one of them.
	membersAge = 100 * time.Millisecond
)

// Peers knows which members are peers. [New] makes one, [Peers.Run] runs it. Its
// methods are safe for concurrent use.
//
// It keeps something of members alone. Whoever can send a query can put any name
// into it, and into an answer. So a name that is not kept yet is looked up in the
// list of members, and each new list drops the names that are not on it: there are
// never more names than this node has members.
type Peers struct {
	cfg    Config
	asked  chan *serf.Query // by others; to be answered
	wake   chan struct{}    // holds a value when there is a member to ask
	more   chan struct{}    // holds a value when more agents are known
	search search

	answers *rate.Limiter // to all questions
	lists   *rate.Limiter // of agents, sent to others
	refused *prometheus.CounterVec
	sampled logs.Sampled

	mu      sync.Mutex
	known   map[string]*acquaintance  // added to by entry alone
	members map[string]netip.AddrPort // those that had not left when looked, and where they are
	looked  time.Time
}

// Config is what [New] needs.
type Config struct {
	Self    string               // this node's name
	Members func() []serf.Member // all of serf's, also those that are gone
	// Alive is one of them if it is alive: Members copies all. Nil: it is looked for there.
	Alive func(name string) (serf.Member, bool)
	// Query sends a query to the cluster, as serf does.
	Query func(name string, payload []byte, p *serf.QueryParam) (*serf.QueryResponse, error)
	// Links says that this node has peer links. A node without them is no peer,
	// and says so by silence.
	Links bool
	// Pass tells whether packets, and so queries, get to a member and back. It may
	// take some seconds. If it is nil, they get to every member.
	Pass func(ctx context.Context, name string) bool
	// Shake asks a member over TCP whether it is a peer. Stock serf logs a line about
	// that. It is called only for members that are said to be peers, or that packets do
	// not get to. If it is nil, nothing that is said makes a member a peer.
	Shake func(ctx context.Context, m link.Peer) (peer bool, err error)
	// ReplyTo tells where an answer to a query goes, and whether other members are to
	// relay it. Whoever sent the query has chosen both. If it is nil, each answer goes
	// to the member that asked.
	ReplyTo func(q *serf.Query) (to netip.AddrPort, relayed bool)
	// OnFound is told the name of each member that is found to be a peer. It must
	// not block, and may be nil.
	OnFound func(name string)
	// OnAgents is told of members that take part in broadcast trees, as is known from now
	// on. told says that others had said so before. It must not block, and may be nil.
	OnAgents func(names []string, told bool)
	// OnNoAgent is told of a member that was taken for one, and that showed this node that it
	// is none. It must not block, and may be nil.
	OnNoAgent func(name string)
	// Ask brings a request to a peer and returns its answer, which is one of
	// [Peers.Answer]. If it is nil, no lists of agents are compared.
	Ask func(ctx context.Context, name string, req []byte) ([]byte, error)
	// Near are agents to which links are kept: lists are compared with them. It may be nil.
	Near func() []string
	// FullyLinked is up to how many members each node asks all others itself; 0 means the
	// constant.
	FullyLinked int
	Logger      *slog.Logger
	Metrics     prometheus.Registerer // nil counts nothing
}

// acquaintance is what is known of a member.
type acquaintance struct {
	peer   bool
	tree   bool      // it takes part in broadcast trees
	told   bool      // it is no peer yet, but others say that it is one, and takes part
	wanted bool      // somebody here wants to know whether it is a peer
	asked  time.Time // for the first time, or first since the last Again or claim; zero before
	times  int       // that it was asked
	stock  int       // that it was asked over TCP, and showed that it is no peer
	next   time.Time // when to ask again

	claim       claim // that it is a peer
	falseClaims int
	nextClaim   time.Time // no claim counts before
	denials     int       // that it is an agent of the trees
	nextDenial  time.Time // no denial counts before

	answers *rate.Limiter // to its questions; nil before the first
}

// New returns a Peers that knows no peer yet. Only [Peers.Run] asks and answers.
func New(cfg Config) *Peers {
	cfg.FullyLinked = cmp.Or(cfg.FullyLinked, FullyLinked)
	p := &Peers{
		cfg:   cfg,
		asked: make(chan *serf.Query, mostAnswers),
		wake:  make(chan struct{}, 1),
		more:  make(chan struct{}, 1),
		known: map[string]*acquaintance{},

		answers: rate.NewLimiter(answersEvery, mostAnswers),
		lists:   rate.NewLimiter(listsEvery, mostLists),
		refused: newRefused(cfg.Metrics),
		sampled: logs.Sampled{Logger: cfg.Logger},
	}
	p.search.unclassified = &unclassified{peers: p, alive: func() []string { return AliveNames(cfg.Members()) }}
	return p
}

// Is tells whether a member is known to be a peer. One that is not is asked, so that
// a later call may know more.
func (p *Peers) Is(name string) bool {
	p.Look([]string{name})
	return p.Knows(name)
}

// entry is what is known of a member, an empty entry at first. It is nil where no
// member has that name. A caller that is sure has the list of members made anew
// for a name that is not on it. For other callers that is done at intervals, since
// strangers choose the names. p.mu is held.
func (p *Peers) entry(name string, sure bool) *acquaintance {
	if a := p.known[name]; a != nil {
		return a
	}
	_, there := p.members[name]
	if now := time.Now(); now.Sub(p.looked) >= membersAge || sure && !there {
		p.renew(now)
		_, there = p.members[name]
	}
	if !there {
		return nil
	}
	a := &acquaintance{}
	p.known[name] = a
	return a
}

// renew makes the list of members anew, and drops what is known of others. Forget was
// told of those, unless the event got lost on its way. A member that has failed
// counts: it may be heard before serf finds it alive again. p.mu is held.
func (p *Peers) renew(now time.Time) {
	p.looked, p.members = now, map[string]netip.AddrPort{}
	for _, m := range p.cfg.Members() {
		if m.Status != serf.StatusLeft && m.Status != serf.StatusLeaving {
			addr, _ := netip.AddrFromSlice(m.Addr)
			p.members[m.Name] = netip.AddrPortFrom(addr.Unmap(), m.Port)
		}
	}
	for name := range p.known {
		if _, there := p.members[name]; !there {
			delete(p.known, name)
		}
	}
}

// At tells whether a member of this name has this host as its address.
func (p *Peers) At(name, host string) bool {
	from, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.looked) >= membersAge {
		p.renew(now)
	}
	at, there := p.members[name]
	return there && at.Addr() == from.WithZone("").Unmap()
}

// Look has members asked that are not known to be peers: all that are due in one
// query, and none before its time.
func (p *Peers) Look(names []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, due := time.Now(), false
	for _, name := range names {
		// The caller has the name from serf: a list without it is out of date.
		a := p.entry(name, true)
		if a == nil {
			continue
		}
		a.wanted = true
		due = due || a.unknown() && !now.Before(a.next)
	}
	if due {
		p.wakeUp()
	}
}

// wakeUp has Run look who is to be asked.
func (p *Peers) wakeUp() {
	select {
	case p.wake <- struct{}{}:
	default: // it has been told
	}
}

// Knows tells whether a member is known to be a peer, or said to be one by others, and asks
// nobody.
func (p *Peers) Knows(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.known[name]
	return a != nil && !a.unknown()
}

// Met tells whether this node itself has found out that a member is a peer.
func (p *Peers) Met(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.known[name]
	return a != nil && a.peer
}

// MayAnswer tells whether a member that is not known to be a peer may still say that
// it is: it was asked less than [Silence] ago, or not at all.
func (p *Peers) MayAnswer(name string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.known[name]
	return a == nil || !a.peer && (a.asked.IsZero() || now.Sub(a.asked) < Silence)
}

// Again has a member asked a second time, at once, and gives it time to answer: the
// first question or its answer may have been lost. It reports false and asks nobody
// if the member is a peer, was never asked, or was asked again not long ago.
func (p *Peers) Again(name string) bool {
	p.mu.Lock()
	a := p.known[name]
	if a == nil || a.peer || a.times > 1 && time.Since(a.asked) < askAgain {
		p.mu.Unlock()
		return false
	}
	a.asked, a.next = time.Time{}, time.Time{}
	p.mu.Unlock()
	p.Look([]string{name})
	return true
}

// Found notes that a member is a peer: a link to it was opened. A name that no member
// has is ignored.
func (p *Peers) Found(name string) { p.found(name, nil) }

// Opened is Found, and says whether the peer takes part in broadcast trees, as it has told
// over the link.
func (p *Peers) Opened(name string, tree bool) { p.found(name, &tree) }

func (p *Peers) found(name string, tree *bool) {
	p.mu.Lock()
	a := p.entry(name, false)
	found, agent, told, none := a != nil && !a.peer, false, false, false
	if a != nil {
		was := *a
		*a = acquaintance{peer: true, tree: was.tree, denials: was.denials, nextDenial: was.nextDenial, answers: was.answers}
		if tree != nil {
			a.tree = *tree
		}
		agent, told = a.tree && !was.tree, was.told
		none = !a.tree && (was.tree || was.told)
	}
	p.mu.Unlock()
	if found && p.cfg.OnFound != nil {
		p.cfg.OnFound(name)
	}
	if none {
		p.noAgent(name)
	}
	if agent && !told {
		p.grown()
	}
	if agent && p.cfg.OnAgents != nil {
		p.cfg.OnAgents([]string{name}, told)
	}
}

// Forget drops what is known of a member that is gone: it may come back as another
// program.
func (p *Peers) Forget(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.known, name)
}
