package peers

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/version"
	"agentctl/handler/backoff"
)

const (
	// QueryName is the name of the query that asks members whether they are peers.
	// Stock serf knows no such query, and so does not answer.
	QueryName = "agentctl-peer"
	// queryTime is for how long a query takes answers. Gossip takes some rounds, of
	// up to 500 ms each, to bring the query to all.
	queryTime = 5 * time.Second
	// A member that has not answered is asked again after askAgain, and then after
	// ever longer, up to askSeldom.
	askAgain  = 10 * time.Second
	askSeldom = 10 * time.Minute
	// mostNamed is how many members a query names at most, and namedBytes how long
	// the names are together: serf refuses a query of over 1,024 bytes. A query that
	// would name more names nobody, and all answer.
	mostNamed  = 8
	namedBytes = 512
	// listsFirst is how long a question that all would answer waits for a list of agents.
	listsFirst = 500 * time.Millisecond
	// nameEnd stands between the names in a query.
	nameEnd = "\x00"
	// mostAnswers is how many queries of others wait for their answer.
	mostAnswers = 256
)

// Take tells whether a query is one of a peer that asks for peers, and sees to its
// answer. Every node sees every such query, and so hears of the peers that ask.
// That is why the names are in the payload: serf's own filter of names would hide
// the query from the others.
func (p *Peers) Take(q *serf.Query) bool {
	if q.Name != QueryName {
		return false
	}
	if !p.cfg.Links || q.SourceNode() == p.cfg.Self {
		return true
	}
	p.hear(q.SourceNode(), heardAll, false)
	if !p.named(q.Payload) || !p.mayAnswer(q.SourceNode(), q) {
		return true
	}
	select {
	case p.asked <- q:
	default: // it asks again
		p.refuse(q.SourceNode(), refusedFull)
	}
	return true
}

// named tells whether this node is to answer a query. One that names nobody is for
// all.
func (p *Peers) named(payload []byte) bool {
	return len(payload) == 0 || slices.Contains(strings.Split(string(payload), nameEnd), p.cfg.Self)
}

// Run sends questions and answers until ctx ends.
func (p *Peers) Run(ctx context.Context) error {
	var asking sync.WaitGroup
	defer asking.Wait()
	if p.cfg.Links && p.cfg.Ask != nil {
		asking.Go(func() { p.compare(ctx) })
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case q := <-p.asked:
			if err := q.Respond([]byte(version.Version)); err != nil {
				p.cfg.Logger.Debug("a peer's question was not answered", "node", q.SourceNode(), "error", err)
			}
		case <-p.wake:
			if names := p.due(); len(names) > 0 {
				asking.Go(func() {
					if names := p.unlisted(ctx, names); len(names) > 0 {
						asking.Go(func() { p.shake(ctx, names) })
						p.ask(ctx, names)
					}
				})
			}
			for _, how := range []claim{heard, heardAll} {
				if claims := p.claims(how); len(claims) > 0 {
					asking.Go(func() { p.check(ctx, how, claims) })
				}
			}
		}
	}
}

// due are the members to ask now, of those that [Peers.Look] was given. They are not due
// again for a while.
func (p *Peers) due() (names []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for name, a := range p.known {
		if a.wanted && a.unknown() && a.claim == noClaim && !now.Before(a.next) {
			names = append(names, name)
			if a.asked.IsZero() {
				a.asked = now
			}
			a.times++
			a.wanted = false // or whoever asks about others would ask about it again and again
			a.next = now.Add(backoff.Backoff{Min: askAgain, Max: askSeldom}.Ceiling(a.times))
		}
	}
	return names
}

// unlisted compares lists of agents in a large cluster before a question that all would
// answer, and gives those of some members of which nothing is known then.
func (p *Peers) unlisted(ctx context.Context, names []string) []string {
	if len(names) <= mostNamed || len(p.cfg.Members()) <= p.cfg.FullyLinked || p.cfg.Ask == nil {
		return names
	}
	ctx, cancel := context.WithTimeout(ctx, listsFirst)
	defer cancel()
	p.compareOnce(ctx, true)
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(names, func(name string) bool {
		a := p.known[name]
		return a == nil || !a.unknown()
	})
}

// ask sends one question, and waits for answers until the query or ctx ends.
func (p *Peers) ask(ctx context.Context, names []string) {
	var payload []byte
	if text := strings.Join(names, nameEnd); len(names) <= mostNamed && len(text) <= namedBytes {
		payload = []byte(text)
	}
	res, err := p.cfg.Query(QueryName, payload, &serf.QueryParam{Timeout: queryTime})
	if err != nil {
		p.cfg.Logger.Debug("members were not asked which of them are peers", "error", err)
		return
	}
	defer res.Close()
	for {
		select {
		case r, ok := <-res.ResponseCh():
			if !ok {
				return
			}
			p.Heard(r.From)
		case <-ctx.Done():
			return
		}
	}
}
