package durable

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"agentctl/agent/delegate"
	"agentctl/handler/backoff"
)

// delegatedVersion begins a request to ask others, as package delegate has it. The question
// in it is an event's ID, or nothing: whether the node keeps a journal on a disk. The
// answer is why not, or nothing. An agent that knows only [version] refuses it.
const delegatedVersion = 2

// widePause is the pause before nodes are asked again that have said nothing final.
var widePause = backoff.Backoff{Min: 10 * time.Millisecond, Max: 250 * time.Millisecond}

// wide is a question to so many nodes that delegates ask most of them.
type wide struct {
	durable *Durable
	id      string // of the event; "": none
	ask     asking
	inquiry *delegate.Inquiry
	// verdicts has room for all. A node may be asked once more before its verdict is read,
	// and then has two.
	verdicts chan verdict
	why      map[string]string // as gather has it

	peers []string        // that may be delegates
	open  map[string]bool // nodes that are asked and have said nothing
	rest  []string        // nodes that are not asked yet
}

// gatherWidely is gather by delegates. Where answers are late, it asks more nodes at a time.
// Those that were asked and have said nothing are in rest, too: they are many.
func (d *Durable) gatherWidely(ctx context.Context, n int, nodes []string, why map[string]string, id string, ask asking) (have, rest []string) {
	w := &wide{durable: d, id: id, ask: ask, verdicts: make(chan verdict, 2*len(nodes)), why: why, open: map[string]bool{}, rest: nodes}
	for _, name := range nodes {
		if name != d.cfg.Self {
			w.peers = append(w.peers, name)
		}
	}
	final := func(delegate.Answer) bool { return true }
	w.inquiry = d.delegates.Inquire([]byte(id), final, w.heard)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.more(n)
	w.round(ctx)
	more, round := time.NewTicker(askMore), 1
	defer more.Stop()
	idle, next := w.inquiry.Idle(), time.After(delegate.Hedge/2)
	for len(have) < n && len(w.open) > 0 {
		select {
		case v := <-w.verdicts:
			if !w.open[v.node] {
				continue
			}
			more.Reset(askMore)
			delete(w.open, v.node)
			if v.why == "" {
				delete(why, v.node)
				have = append(have, v.node)
				continue
			}
			why[v.node] = v.why
			w.more(1)
			if len(w.open) > 0 {
				continue
			}
		case <-more.C:
			w.more(1 + n/16)
		case <-idle:
			idle = nil
			if pause := widePause.Ceiling(round); !w.inquiry.OneSided() {
				next = time.After(pause)
				continue
			} // else the other path makes it count
		case <-next:
		case <-ctx.Done():
			return have, w.unsaid()
		}
		w.round(ctx)
		round++
		idle, next = w.inquiry.Idle(), time.After(delegate.Hedge/2)
	}
	return have, w.unsaid()
}

// unsaid are the nodes that have said nothing, those that were asked at the end.
func (w *wide) unsaid() []string { return slices.Concat(w.rest, slices.Sorted(maps.Keys(w.open))) }

// more has so many more nodes asked from the next round on.
func (w *wide) more(n int) {
	for _, name := range w.rest[:min(n, len(w.rest))] {
		w.open[name] = true
		w.why[name] = "has not answered in time"
	}
	w.rest = w.rest[min(n, len(w.rest)):]
}

// round asks those that have said nothing. This node asks by itself if it need not ask.
func (w *wide) round(ctx context.Context) {
	r := delegate.Round{Pool: w.peers, Others: w.durable.others(), Ask: w.askItself}
	for name := range w.open {
		p := w.durable.peer(name)
		if name == w.durable.cfg.Self || p == nil || w.id == "" && p.fresh() {
			r.Itself = append(r.Itself, name)
		} else {
			r.Names = append(r.Names, name)
		}
	}
	slices.Sort(r.Names)
	w.inquiry.Round(ctx, r)
}

// askItself asks a node without a delegate, until it has a verdict.
func (w *wide) askItself(ctx context.Context, name string) (note func() (final bool)) {
	verdicts := make(chan verdict, 1)
	w.ask(ctx, name, verdicts)
	select {
	case v := <-verdicts:
		return func() bool {
			w.verdicts <- v
			return true
		}
	case <-ctx.Done():
		return func() bool { return false }
	}
}

// heard is told what counts of the answers that delegates pass on.
func (w *wide) heard(name string, a delegate.Answer) {
	v := verdict{name, string(a.Shared[:min(len(a.Shared), maxReason)])}
	if p := w.durable.peer(name); p != nil && v.why == "" {
		p.saidAble()
	}
	w.verdicts <- v
}

// forOthers is this node's own answer, where it is a delegate.
func (d *Durable) forOthers(ctx context.Context, id []byte) (a delegate.Answer, err error) {
	why := d.unable()
	if why == "" && len(id) > 0 {
		in, err := d.synced(ctx, []string{string(id)}, arrivalWait)
		if err != nil {
			return a, err
		}
		if !in[0] {
			return a, fmt.Errorf("durable: %q is not here yet", id)
		}
	}
	return delegate.Answer{Shared: []byte(why)}, nil
}

// others are the members that are alive, to be asked for another node. Whoever asks vouches
// that they are peers.
func (d *Durable) others() delegate.Others {
	alive := map[string]bool{}
	if d.cfg.Alive != nil {
		for _, name := range d.cfg.Alive() {
			alive[name] = true
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.peers, func(name string, _ *peer) bool { return !alive[name] })
	return members{d, alive}
}

// members are asked over links.
type members struct {
	durable *Durable
	alive   map[string]bool
}

// Ask is for [delegate.Others].
func (m members) Ask(ctx context.Context, name string, id []byte) (a delegate.Answer, err error) {
	if !m.alive[name] || len(id) > maxID {
		return a, fmt.Errorf("durable: %q is no member, or no event is called %.64q", name, id)
	}
	p := m.durable.peerAlive(name)
	if len(id) == 0 {
		_, why, err := p.ask(ctx, nil)
		return delegate.Answer{Shared: []byte(why)}, err
	}
	verdicts := make(chan verdict, 1)
	p.add(&wish{ctx: ctx, id: string(id), verdicts: verdicts})
	select {
	case v := <-verdicts:
		return delegate.Answer{Shared: []byte(v.why)}, nil
	case <-ctx.Done():
		return a, ctx.Err()
	}
}

// Pass is for [delegate.Others].
func (m members) Pass(ctx context.Context, name string, req []byte) ([]byte, error) {
	if !m.alive[name] {
		return nil, fmt.Errorf("durable: %q is no member", name)
	}
	return m.durable.cfg.Ask(ctx, name, req)
}

// peerAlive is the peer of this name, which is alive.
func (d *Durable) peerAlive(name string) *peer {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.peers[name] == nil {
		d.peers[name] = &peer{durable: d, name: name}
	}
	return d.peers[name]
}
