package peers

import (
	"context"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hashicorp/serf/serf"
	"golang.org/x/time/rate"

	"agentctl/agent/link"
	"agentctl/handler/backoff"
	"agentctl/handler/varint"
)

const (
	// FullyLinked is up to how many agents each of them has links to all others, and asks
	// all members itself. Trees cost less at a publisher, and more at all nodes together:
	// with sixty agents on two cores an event took three times as long along trees.
	FullyLinked = 64
	// compareEvery is how often a node compares its list with that of another, on average.
	// With each list that is the same the pause doubles, compareSeldom times at most.
	// compareSoon is how soon it compares once more agents are known.
	compareEvery  = 15 * time.Second
	compareSeldom = 3
	compareSoon   = time.Second
	// compareTime bounds the wait for an answer.
	compareTime = 5 * time.Second
	// listsEvery is how many lists a node sends in a second, and mostLists at once. One of
	// 10,000 names has some 200 KiB.
	listsEvery, mostLists = rate.Limit(10), 20
	// fewMet is how many agents a node has met that compares its list with others, too.
	fewMet = 3
	// mostAgents is how many names a list has at most, and mostTold how many one that
	// nobody has asked for: a request has 128 KiB.
	mostAgents = 1 << 16
	mostTold   = 1 << 10
	// MaxNodeName is how many bytes a name has at most: serf's own limit.
	MaxNodeName = 128
	// agentsVersion begins a question and an answer. A later one may append.
	agentsVersion = 1
)

// unknown tells whether nothing is known of a member. p.mu is held.
func (a *acquaintance) unknown() bool { return !a.peer && !a.told }

// Sort tells members that take part in broadcast trees, as this node knows itself or others
// have said, from other peers, and both from the rest.
func (p *Peers) Sort(members []serf.Member) (agents, former, rest []serf.Member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range members {
		switch a := p.known[m.Name]; {
		case a != nil && (a.tree || a.told):
			agents = append(agents, m)
		case a != nil && a.peer:
			former = append(former, m)
		default:
			rest = append(rest, m)
		}
	}
	return agents, former, rest
}

// Told notes that others say of members that they take part in broadcast trees. Whoever
// is to have a link to one of them finds out: see [Peers.NoPeer]. Until then it is believed.
func (p *Peers) Told(names []string) {
	var fresh []string
	now := time.Now()
	p.mu.Lock()
	for _, name := range names {
		if name == p.cfg.Self {
			continue
		}
		if a := p.entry(name, false); a != nil && a.unknown() && !now.Before(a.nextClaim) {
			a.told = true
			fresh = append(fresh, name)
		}
	}
	p.mu.Unlock()
	if len(fresh) == 0 {
		return
	}
	p.grown()
	if p.cfg.OnAgents != nil {
		p.cfg.OnAgents(fresh, true)
	}
}

// NoPeer notes that a member is none: it was to have a link. If others have said that it is
// an agent, they are not believed for a while.
func (p *Peers) NoPeer(name string) {
	p.mu.Lock()
	a := p.known[name]
	agent := a != nil && (a.tree || a.told)
	switch {
	case a == nil:
	case a.told:
		a.wasFalse()
	default:
		delete(p.known, name)
	}
	p.mu.Unlock()
	if agent {
		p.noAgent(name)
	}
}

func (p *Peers) noAgent(name string) {
	if p.cfg.OnNoAgent != nil {
		p.cfg.OnNoAgent(name)
	}
}

// Denied notes that others say of members that they are no agents. They are unknown from
// then on, which does no harm: they are served, and asked. For a while nobody is believed
// who says otherwise, but a member that this node has met is asked over TCP at once. Denials
// of a member count ever more seldom.
func (p *Peers) Denied(names []string) {
	met := false
	now := time.Now()
	p.mu.Lock()
	for _, name := range names {
		a := p.known[name]
		if a == nil || !a.tree && !a.told || now.Before(a.nextDenial) {
			continue
		}
		was := *a
		*a = acquaintance{denials: was.denials + 1, answers: was.answers}
		a.nextDenial = now.Add(backoff.Backoff{Min: askAgain, Max: askSeldom}.Ceiling(a.denials))
		a.nextClaim = a.nextDenial
		if was.peer && p.cfg.Shake != nil {
			a.claim, a.asked, met = heard, now, true
		}
	}
	p.mu.Unlock()
	if met {
		p.wakeUp()
	}
}

// deny are those of some names of which this node knows that they are no agents, from
// itself or from others.
func (p *Peers) deny(names []string) (no []string) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range names {
		if a := p.known[name]; a != nil && (a.peer && !a.tree || a.unknown() && now.Before(a.nextClaim)) {
			no = append(no, name)
		}
	}
	return no
}

// grown has this node compare its list soon.
func (p *Peers) grown() {
	select {
	case p.more <- struct{}{}:
	default:
	}
}

// list are the names of all members that take part in broadcast trees, this node included.
func (p *Peers) list() []string {
	agents, _, _ := p.Sort(p.cfg.Members())
	names := append(AliveNames(agents), p.cfg.Self)
	slices.Sort(names)
	return slices.Compact(names)
}

// sum is the same for the same names.
func sum(names []string) (s uint64) {
	for _, name := range names {
		h := fnv.New64a()
		h.Write([]byte(name))
		s ^= h.Sum64()
	}
	return s
}

// compare compares this node's list of agents with those of others, one after the other,
// until ctx ends. So lists become the same: who lacks a name gets it, from whoever asks.
func (p *Peers) compare(ctx context.Context) {
	same := 0 // so many lists in a row were
	pause := func() time.Duration {
		every := compareEvery << min(same, compareSeldom)
		return backoff.Between(every/2, every*3/2)
	}
	timer := time.NewTimer(pause())
	defer timer.Stop()
	soon := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.more:
			if !soon {
				soon = true
				timer.Reset(rand.N(compareSoon))
			}
		case <-timer.C:
			if same++; !p.compareOnce(ctx, soon) {
				same = 0
			}
			soon = false
			timer.Reset(pause())
		}
	}
}

// compareOnce compares this node's list with that of an agent that this node has met, a near
// one if there are any, and tells whether they are the same. If this node has met few, and
// its list grows, it is any agent.
func (p *Peers) compareOnce(ctx context.Context, grows bool) (same bool) {
	if len(p.cfg.Members()) <= p.cfg.FullyLinked {
		return false
	}
	peer, ok := p.partner(grows)
	if !ok {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, compareTime)
	defer cancel()
	ours := p.list()
	e := varint.Encoder{agentsVersion}
	e.Fixed(sum(ours))
	e.Uint(0)
	theirs, err := p.askList(ctx, peer, e)
	if err != nil {
		p.cfg.Logger.Debug("a peer's list of agents was not had", "node", peer, "error", err)
		return false
	}
	if theirs == nil {
		return true
	}
	p.Told(theirs)
	slices.Sort(theirs)
	lacks := slices.DeleteFunc(ours, func(name string) bool { _, has := slices.BinarySearch(theirs, name); return has })
	if len(lacks) > 0 {
		p.tell(ctx, peer, lacks)
	}
	return false
}

// partner is whose list is compared next.
func (p *Peers) partner(grows bool) (name string, ok bool) {
	known := p.treeAgents(false)
	if grows && len(known) < fewMet {
		known = p.treeAgents(true)
	} else if p.cfg.Near != nil {
		near := slices.DeleteFunc(p.cfg.Near(), func(name string) bool { return !slices.Contains(known, name) })
		if len(near) > 0 {
			known = near
		}
	}
	if len(known) == 0 {
		return "", false
	}
	return known[rand.IntN(len(known))], true
}

// tell tells a peer of agents that its list lacks, and reads which of them are none.
func (p *Peers) tell(ctx context.Context, peer string, lacks []string) {
	rand.Shuffle(len(lacks), func(i, j int) { lacks[i], lacks[j] = lacks[j], lacks[i] })
	e := varint.Encoder{agentsVersion}
	e.Fixed(0)
	e = appendNames(e, lacks[:min(len(lacks), mostTold)])
	answer, err := p.cfg.Ask(ctx, peer, e)
	if err == nil {
		d := varint.NewDecoder(answer)
		if d.Byte() != agentsVersion {
			d.Fail("an answer of another version")
		}
		denied := varint.List(&d, mostTold, func() string { return d.Text(MaxNodeName) })
		if err = d.Err(); err == nil {
			p.Denied(denied)
		}
	}
	if err != nil {
		p.cfg.Logger.Debug("a peer was not told of agents", "node", peer, "error", err)
	}
}

// treeAgents are the members that take part, as this node itself has found out, or as others
// have told as well.
func (p *Peers) treeAgents(told bool) (names []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, a := range p.known {
		if a.tree || told && a.told {
			names = append(names, name)
		}
	}
	return names
}

// askList asks a peer for its list. It returns nil if that is the same.
func (p *Peers) askList(ctx context.Context, peer string, req []byte) ([]string, error) {
	answer, err := p.cfg.Ask(ctx, peer, req)
	if err != nil {
		return nil, err
	}
	d := varint.NewDecoder(answer)
	if d.Byte() != agentsVersion {
		return nil, errors.New("an answer of another version")
	}
	if d.Bool() {
		return nil, d.Err()
	}
	names := varint.List(&d, mostAgents, func() string { return d.Text(MaxNodeName) })
	return names, d.Err()
}

func appendNames(e varint.Encoder, names []string) varint.Encoder {
	names = names[:min(len(names), mostAgents)]
	e.Uint(uint64(len(names)))
	for _, name := range names {
		e.Text(name)
	}
	return e
}

var errTooManyLists = errors.New("too many lists of agents are asked for")

// Answer answers a peer that compares its list with this node's, or tells what this node
// lacks.
func (p *Peers) Answer(_ context.Context, from link.Peer, req []byte) ([]byte, error) {
	d := varint.NewDecoder(req)
	if d.Byte() != agentsVersion {
		return nil, errors.New("a question of another version")
	}
	theirs := d.Fixed()
	told := varint.List(&d, mostTold, func() string { return d.Text(MaxNodeName) })
	if err := d.Err(); err != nil {
		return nil, err
	}
	if len(told) > 0 {
		no := p.deny(told)
		p.Told(told)
		return appendNames(varint.Encoder{agentsVersion}, no), nil
	}
	ours := p.list()
	e := varint.Encoder{agentsVersion}
	same := theirs == sum(ours)
	e.Bool(same)
	if same {
		return e, nil
	}
	p.Heard(from.Name) // it may be one that is not known here
	if !p.lists.Allow() {
		return nil, errTooManyLists
	}
	return appendNames(e, ours), nil
}
