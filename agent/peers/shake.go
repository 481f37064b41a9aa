package peers

import (
	"context"

	"github.com/hashicorp/serf/serf"
	"golang.org/x/sync/errgroup"

	"agentctl/agent/link"
)

const (
	// mostShakes is how often a member is asked over TCP that shows each time that it
	// is no peer. Stock serf logs a line each time.
	mostShakes = 3
	// shakesAtOnce is how many members are pinged and asked over TCP at a time.
	shakesAtOnce = 8
)

// shake asks members over TCP, if packets do not get to them. Then the question that
// goes by gossip does not either, or its answer. Each question leads to one such try
// for a member, so tries are as far apart as questions. A ping comes first, which a
// stock member answers and does not log.
func (p *Peers) shake(ctx context.Context, names []string) {
	if p.cfg.Pass == nil || !p.cfg.Links {
		return
	}
	var asking errgroup.Group
	asking.SetLimit(shakesAtOnce)
	for _, name := range names {
		asking.Go(func() error {
			if !p.mayShake(name) || p.cfg.Pass(ctx, name) || !p.mayShake(name) || ctx.Err() != nil {
				return nil
			}
			m, ok := p.Member(name)
			if !ok {
				return nil
			}
			switch peer, err := p.cfg.Shake(ctx, m); {
			case err != nil:
				p.cfg.Logger.Debug("a member was not asked over TCP whether it is a peer", "node", name, "error", err)
			case peer:
				p.Found(name)
			default:
				p.isStock(name)
			}
			return nil
		})
	}
	asking.Wait() // no function returns an error
}

// mayShake tells whether a member is asked over TCP.
func (p *Peers) mayShake(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.known[name]
	return a != nil && !a.peer && a.stock < mostShakes
}

// isStock notes that a member showed itself to be no peer.
func (p *Peers) isStock(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.known[name]; a != nil {
		a.stock++
	}
}

// Member is a member that is alive, as the links know it.
func (p *Peers) Member(name string) (link.Peer, bool) {
	if p.cfg.Alive != nil {
		m, ok := p.cfg.Alive(name)
		return Of(m), ok
	}
	for _, m := range p.cfg.Members() {
		if m.Name == name && m.Status == serf.StatusAlive {
			return Of(m), true
		}
	}
	return link.Peer{}, false
}
