package agent

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/version"
	"agentctl/handler/backoff"
)

const (
	// peerQuery is the name of the query that tells agents of ours from stock
	// ones, which know no such query.
	peerQuery = "agentctl-peer"
	// peerQueryTime is for how long an answer is waited for: gossip takes some
	// rounds, up to 500 ms each, to bring the query to all.
	peerQueryTime = 5 * time.Second
	// A node that has not answered is asked again after peerAgain, and then
	// after up to peerSeldom: it may have been changed for one of ours.
	peerAgain  = 10 * time.Second
	peerSeldom = 10 * time.Minute
	// peerSilence is how long after it was asked a member is taken for one that
	// does not answer, where somebody waits to be told.
	peerSilence = 2 * time.Second
	// peerPoll is how often it is looked whether one has answered.
	peerPoll = 20 * time.Millisecond
	// peerNamed is how many nodes a query names, and peerNamedBytes how long the
	// names are together: serf refuses a query of over 1,024 bytes. Where it would
	// be more, all answer.
	peerNamed      = 8
	peerNamedBytes = 512
	// peerNameEnd stands between the names in a query.
	peerNameEnd = "\x00"
	// peerAnswers is how many queries of others wait for their answer.
	peerAnswers = 256
	// membersAge is for how long a list of the members is used to tell whether a
	// name that came over the network is one of them.
	membersAge = 100 * time.Millisecond
)

// peers knows which members are agents of ours. All are asked once something
// is published here; before, only a few, for repair.
//
// It keeps something of members alone. Whoever can send a query can put any name
// into it, and into an answer. So each name that is not kept yet is looked up in
// the list of members, and each new list drops what is not on it: there are never
// more names than this node has members.
type peers struct {
	self   string               // this node's name
	list   func() []serf.Member // serf's, with those that are gone
	query  func(name string, payload []byte, p *serf.QueryParam) (*serf.QueryResponse, error)
	links  bool // this node has links: else it is no peer, and says so by silence
	logger *slog.Logger
	asked  chan *serf.Query  // by others; to be answered
	wake   chan struct{}     // holds a value when there is someone to ask
	found  func(name string) // told of each that is found to be one; set before Run, may be nil

	mu      sync.Mutex
	known   map[string]*acquaintance // added to by entry alone
	members map[string]bool          // those that had not left when looked
	looked  time.Time
}

// acquaintance is what is known of a member.
type acquaintance struct {
	peer  bool
	asked time.Time // the first time, or the last that again was called; zero before
	times int       // that it was asked
	next  time.Time // when to ask again
}

func newPeers(self string, list func() []serf.Member, query func(string, []byte, *serf.QueryParam) (*serf.QueryResponse, error), links bool, logger *slog.Logger) *peers {
	return &peers{
		self: self, list: list, query: query, links: links, logger: logger,
		asked: make(chan *serf.Query, peerAnswers),
		wake:  make(chan struct{}, 1),
		known: map[string]*acquaintance{},
	}
}

// is tells whether a member is a peer, as far as is known. One that is not
// known is asked.
func (p *peers) is(name string) bool {
	p.look([]string{name})
	return p.knows(name)
}

// entry is what is known of a member, an empty entry at first. It is nil where no
// member has that name. A caller that is sure has the list of members made anew
// for a name that is not on it; for others that is done at intervals, since
// strangers choose the names. p.mu is held.
func (p *peers) entry(name string, sure bool) *acquaintance {
	if a := p.known[name]; a != nil {
		return a
	}
	if now := time.Now(); now.Sub(p.looked) >= membersAge || sure && !p.members[name] {
		p.renew(now)
	}
	if !p.members[name] {
		return nil
	}
	a := &acquaintance{}
	p.known[name] = a
	return a
}

// renew makes the list of members anew, and drops what is known of others: forget
// was told of those, unless the intake lost the event. A member that has failed
// counts, since it may be heard before serf finds it alive again. p.mu is held.
func (p *peers) renew(now time.Time) {
	p.looked, p.members = now, map[string]bool{}
	for _, m := range p.list() {
		if m.Status != serf.StatusLeft && m.Status != serf.StatusLeaving {
			p.members[m.Name] = true
		}
	}
	for name := range p.known {
		if !p.members[name] {
			delete(p.known, name)
		}
	}
}

// look has those of some members asked that are not known to be peers, in one
// query if they are not too many, and not before their time.
func (p *peers) look(names []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, due := time.Now(), false
	for _, name := range names {
		// The caller has the name from serf: a list without it is out of date.
		a := p.entry(name, true)
		due = due || a != nil && !a.peer && !now.Before(a.next)
	}
	if due {
		select {
		case p.wake <- struct{}{}:
		default: // it has been told
		}
	}
}

// knows tells whether a member is known to be a peer, and asks nobody.
func (p *peers) knows(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.known[name]
	return a != nil && a.peer
}

// mayAnswer tells of a member that is not known to be a peer whether it may say
// yet that it is.
func (p *peers) mayAnswer(name string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.known[name]
	return a == nil || !a.peer && (a.asked.IsZero() || now.Sub(a.asked) < peerSilence)
}

// again has a member asked a second time, at once, and gives it time to answer: the
// question before, or the answer, may have been lost. It reports false, and asks
// nobody, where that is not long ago, or the member is a peer.
func (p *peers) again(name string) bool {
	p.mu.Lock()
	a := p.known[name]
	if a == nil || a.peer || a.times > 1 && time.Since(a.asked) < peerAgain {
		p.mu.Unlock()
		return false
	}
	a.asked, a.next = time.Time{}, time.Time{}
	p.mu.Unlock()
	p.look([]string{name})
	return true
}

// set notes what a member was found to be. A name that no member has is ignored:
// the network chose it.
func (p *peers) set(name string, peer bool) {
	p.mu.Lock()
	a := p.entry(name, false)
	found := a != nil && peer && !a.peer
	if a != nil {
		*a = acquaintance{peer: peer, next: time.Now().Add(peerAgain)}
	}
	p.mu.Unlock()
	if found && p.found != nil {
		p.found(name)
	}
}

// forget is for a member that is gone: it may come back as something else.
func (p *peers) forget(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.known, name)
}

// take tells whether a query is that of a peer, and sees to its answer, if any.
// Who asks is a peer; everyone sees the query, and so gets to know some peers
// without asking. Serf's filter of names would hide it.
func (p *peers) take(q *serf.Query) bool {
	if q.Name != peerQuery {
		return false
	}
	if !p.links || q.SourceNode() == p.self {
		return true
	}
	p.set(q.SourceNode(), true)
	if !p.named(q.Payload) {
		return true
	}
	select {
	case p.asked <- q:
	default: // it asks again
	}
	return true
}

// named tells whether this node is to answer a query: one that names nobody is
// for all.
func (p *peers) named(payload []byte) bool {
	return len(payload) == 0 || slices.Contains(strings.Split(string(payload), peerNameEnd), p.self)
}

// Run asks and answers until ctx ends.
func (p *peers) Run(ctx context.Context) error {
	var asking sync.WaitGroup
	defer asking.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case q := <-p.asked:
			if err := q.Respond([]byte(version.Version)); err != nil {
				p.logger.Debug("a peer's question was not answered", "node", q.SourceNode(), "error", err)
			}
		case <-p.wake:
			if names := p.due(); len(names) > 0 {
				asking.Go(func() { p.ask(ctx, names) })
			}
		}
	}
}

// due are the members to ask now; they are not due again for a while.
func (p *peers) due() (names []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for name, a := range p.known {
		if !a.peer && !now.Before(a.next) {
			names = append(names, name)
			if a.asked.IsZero() {
				a.asked = now
			}
			a.times++
			a.next = now.Add(backoff.Backoff{Min: peerAgain, Max: peerSeldom}.Ceiling(a.times))
		}
	}
	return names
}

func (p *peers) ask(ctx context.Context, names []string) {
	var payload []byte
	if text := strings.Join(names, peerNameEnd); len(names) <= peerNamed && len(text) <= peerNamedBytes {
		payload = []byte(text)
	}
	res, err := p.query(peerQuery, payload, &serf.QueryParam{Timeout: peerQueryTime})
	if err != nil {
		p.logger.Debug("members were not asked which of them are peers", "error", err)
		return
	}
	defer res.Close()
	for {
		select {
		case r, ok := <-res.ResponseCh():
			if !ok {
				return
			}
			p.set(r.From, true)
		case <-ctx.Done():
			return
		}
	}
}
