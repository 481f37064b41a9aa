package peers

import (
	"context"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"agentctl/handler/backoff"
)

const (
	// claimStagger is within which time a claim is checked in a cluster that is not small:
	// all nodes hear a question at once, and the asker takes so many links at a time.
	claimStagger = time.Second
	// claimTries is how often a member is tried that was not reached, or was busy as at
	// its start.
	claimTries = 6
)

// claim is how far a claim is that a member is a peer.
type claim int

const (
	noClaim   claim = iota
	unchecked       // the member is to be asked over TCP
	checking        // it is being asked
)

// Heard has a member asked over TCP, since somebody said in its name that it is a peer.
// Whoever can send a packet can say so of any member. Only what a member itself says when
// a link is opened to it makes it a peer. Until then it counts as none.
func (p *Peers) Heard(name string) {
	if !p.cfg.Links || p.cfg.Shake == nil || name == p.cfg.Self {
		return
	}
	p.mu.Lock()
	a, now := p.entry(name, false), time.Now()
	due := a != nil && !a.peer && a.claim == noClaim && !now.Before(a.nextClaim)
	if due {
		a.claim, a.asked = unchecked, now
	}
	p.mu.Unlock()
	if due {
		p.wakeUp()
	}
}

// claimed tells whether it is still to be found out whether a member is the peer that it
// is said to be.
func (p *Peers) claimed(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.known[name]
	return a != nil && a.claim != noClaim
}

// claims are the members to check now.
func (p *Peers) claims() map[string]*acquaintance {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := map[string]*acquaintance{}
	for name, a := range p.known {
		if a.claim == unchecked {
			a.claim = checking
			all[name] = a
		}
	}
	return all
}

// check asks members over TCP whether they are peers.
func (p *Peers) check(ctx context.Context, claims map[string]*acquaintance) {
	if len(p.cfg.Members()) > smallCluster {
		backoff.Sleep(ctx, rand.N(claimStagger))
	}
	var asking errgroup.Group
	asking.SetLimit(shakesAtOnce)
	for name, a := range claims {
		asking.Go(func() error {
			for try := 1; try <= claimTries && ctx.Err() == nil; try++ {
				if m, ok := p.member(name); ok {
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
	if same && !peer {
		a.claim = noClaim
		a.falseClaims++
		a.nextClaim = time.Now().Add(backoff.Backoff{Min: askAgain, Max: askSeldom}.Ceiling(a.falseClaims))
	}
	p.mu.Unlock()
	if same && peer {
		p.Found(name)
	}
}
