package peers

import (
	"context"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"agentctl/handler/backoff"
)

const (
	// questionStagger is within which time whoever asks a question is asked over TCP in a
	// cluster that is not small: all nodes hear the question, and the asker takes so many
	// links at a time.
	questionStagger = time.Second
	// claimsAtOnce is how many members are asked at a time. They were all found by one
	// question, and events wait for them.
	claimsAtOnce = 64
	// claimTries is how often a member is tried that was not reached, or was busy as at
	// its start.
	claimTries = 6
)

// claim is how far a claim is that a member is a peer.
type claim int

const (
	noClaim  claim = iota
	heard          // the member is to be asked over TCP
	heardAll       // likewise, and all nodes have heard the claim
	checking       // it is being asked
)

// Heard has a member asked over TCP, since somebody said in its name that it is a peer.
// Whoever can send a packet can say so of any member. Only what a member itself says when
// a link is opened to it makes it a peer. Until then it counts as none.
//
// A member of which others say that it takes part in broadcast trees is not asked: see
// [Peers.Verify].
func (p *Peers) Heard(name string) { p.hear(name, heard, false) }

// Verify has a member asked over TCP of which others say that it takes part in broadcast
// trees.
func (p *Peers) Verify(name string) { p.hear(name, heard, true) }

func (p *Peers) hear(name string, how claim, told bool) {
	if how == heardAll && !p.mayHear() {
		return
	}
	if !p.cfg.Links || p.cfg.Shake == nil || name == p.cfg.Self {
		return
	}
	p.mu.Lock()
	a, now := p.entry(name, false), time.Now()
	due := a != nil && !a.peer && (told || !a.told) && a.claim == noClaim && !now.Before(a.nextClaim)
	if due {
		a.claim, a.asked = how, now
	}
	p.mu.Unlock()
	if due {
		p.wakeUp()
	}
}

// mayHear tells whether a claim is looked into that all nodes have heard. In a cluster where
// lists of agents are compared a few nodes do, once they know some agents.
func (p *Peers) mayHear() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.looked) >= membersAge {
		p.renew(now)
	}
	size := len(p.members)
	if size <= p.cfg.FullyLinked {
		return true
	}
	known := 0
	for _, a := range p.known {
		if !a.unknown() {
			known++
		}
	}
	return known < wanted || rand.IntN(size) < wanted
}

// claimed tells whether it is still to be found out whether a member is the peer that it
// is said to be.
func (p *Peers) claimed(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.known[name]
	return a != nil && a.claim != noClaim
}

// claims are the members to check now, of those whose claim was heard in this way.
func (p *Peers) claims(how claim) map[string]*acquaintance {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := map[string]*acquaintance{}
	for name, a := range p.known {
		if a.claim == how {
			a.claim = checking
			all[name] = a
		}
	}
	return all
}

// check asks members over TCP whether they are peers.
func (p *Peers) check(ctx context.Context, how claim, claims map[string]*acquaintance) {
	if how == heardAll && len(p.cfg.Members()) > smallCluster {
		backoff.Sleep(ctx, rand.N(questionStagger))
	}
	var asking errgroup.Group
	asking.SetLimit(claimsAtOnce)
	for name, a := range claims {
		asking.Go(func() error {
			for try := 1; try <= claimTries && ctx.Err() == nil; try++ {
				if m, ok := p.Member(name); ok {
					if peer, err := p.cfg.Shake(ctx, m); err == nil {
						p.settle(name, a, peer)
						return nil
					}
				}
				backoff.Sleep(ctx, backoff.Backoff{Min: 200 * time.Millisecond, Max: askAgain}.Ceiling(try))
			}
			p.settle(name, a, false)
			return nil
		})
	}
	asking.Wait() // no function returns an error
}

// settle notes what came of a claim. It counts for the member that the claim was about,
// and not for one that has come back under its name meanwhile. Further claims about a
// member that is no peer wait ever longer.
func (p *Peers) settle(name string, a *acquaintance, peer bool) {
	p.mu.Lock()
	same := p.known[name] == a
	told := same && a.told
	if same && !peer {
		a.wasFalse()
	}
	p.mu.Unlock()
	if told && !peer {
		p.noAgent(name)
	}
	if same && peer {
		p.Found(name)
	}
}

// wasFalse notes that a claim was. p.mu is held.
func (a *acquaintance) wasFalse() {
	a.claim, a.told = noClaim, false
	a.falseClaims++
	a.nextClaim = time.Now().Add(backoff.Backoff{Min: askAgain, Max: askSeldom}.Ceiling(a.falseClaims))
}
