package broadcast

import (
	"time"

	"agentctl/agent/plumtree"
)

// Network says how messages travel.
type Network struct {
	// A message takes MinDelay to MaxDelay, and Between more from one region to
	// another.
	MinDelay, MaxDelay time.Duration
	Between            [][]time.Duration
	// Loss is the share of segments that are lost. A stream sends one again after
	// Resend, or a round trip after three later segments have come, and keeps those
	// behind it until then.
	Loss   float64
	Resend time.Duration
}

// happening is something that is due.
type happening struct {
	at    time.Duration
	order uint64 // of two at the same time
	do    action
	node  *node
	pipe  *pipe
	seg   segment
	call  func()
}

type action byte

const (
	arrive action = iota
	resend
	wake
	call
)

// agenda is a heap of what is due.
type agenda struct {
	heap []happening
	n    uint64
}

func (a *agenda) less(i, j int) bool {
	x, y := &a.heap[i], &a.heap[j]
	return x.at < y.at || x.at == y.at && x.order < y.order
}

func (a *agenda) push(h happening) {
	a.n++
	h.order = a.n
	a.heap = append(a.heap, h)
	for i := len(a.heap) - 1; i > 0; {
		up := (i - 1) / 2
		if !a.less(i, up) {
			break
		}
		a.heap[i], a.heap[up] = a.heap[up], a.heap[i]
		i = up
	}
}

func (a *agenda) pop() happening {
	h := a.heap[0]
	last := len(a.heap) - 1
	a.heap[0] = a.heap[last]
	a.heap[last] = happening{}
	a.heap = a.heap[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down >= last {
			break
		}
		if down+1 < last && a.less(down+1, down) {
			down++
		}
		if !a.less(down, i) {
			break
		}
		a.heap[i], a.heap[down] = a.heap[down], a.heap[i]
		i = down
	}
	return h
}

// segment is what a node sends to a neighbour at once.
type segment struct {
	first []byte
	more  [][]byte
}

// waiting is a segment behind a lost one, and when it arrives.
type waiting struct {
	segment
	at time.Duration
}

// pipe is one direction of a link: a stream.
type pipe struct {
	from, to *node
	link     plumtree.Link // what the receiver calls it
	closed   bool
	base     time.Duration // beside MinDelay and MaxDelay
	last     time.Duration // when the last segment arrives: none overtakes another

	lost    bool // a segment is, and those behind it wait
	until   time.Duration
	behind  int // segments that came behind it
	waiting []waiting
}

// send has a segment arrive. It is the network's only use of chance.
func (c *cluster) send(p *pipe, s segment) {
	arrival := max(p.last, c.now+c.delay(p))
	p.last = arrival
	switch {
	case p.lost:
		p.waiting = append(p.waiting, waiting{s, arrival})
		if p.behind++; p.behind == 3 {
			if soon := arrival + 2*c.delay(p); soon < p.until {
				p.until = soon
				c.agenda.push(happening{at: soon, do: resend, pipe: p})
			}
		}
	case c.cfg.Network.Loss > 0 && c.rand.Float64() < c.cfg.Network.Loss:
		p.lost, p.until, p.behind = true, arrival+c.cfg.Network.Resend, 0
		p.waiting = append(p.waiting[:0], waiting{s, arrival})
		c.agenda.push(happening{at: p.until, do: resend, pipe: p})
	default:
		c.agenda.push(happening{at: arrival, do: arrive, pipe: p, seg: s})
	}
}

// again has a lost segment arrive, and those behind it.
func (c *cluster) again(p *pipe) {
	if !p.lost || c.now < p.until || p.closed {
		return
	}
	p.lost = false
	p.last = max(p.last, c.now)
	all := p.waiting
	p.waiting = nil
	for _, w := range all {
		if w.at > c.now {
			c.agenda.push(happening{at: w.at, do: arrive, pipe: p, seg: w.segment})
			continue
		}
		c.deliver(p, w.segment)
	}
}

func (c *cluster) delay(p *pipe) time.Duration {
	n := &c.cfg.Network
	d := p.base + n.MinDelay
	if n.MaxDelay > n.MinDelay {
		d += time.Duration(c.rand.Int64N(int64(n.MaxDelay - n.MinDelay)))
	}
	return d
}
