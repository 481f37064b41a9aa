package durable

import (
	"context"
	"errors"
	"sync"
	"time"

	"agentctl/agent/link"
	"agentctl/handler/backoff"
)

const (
	// asksAtOnce is how many requests a peer is sent at a time.
	asksAtOnce = 4
	// ableFor is how long it holds that a peer keeps a journal on a disk.
	ableFor = 10 * time.Second
	// askTime bounds one request.
	askTime = 10 * time.Second
)

// askAgain are the pauses before a peer is asked again that had none of the events, or
// did not answer.
var askAgain = backoff.Backoff{Min: 5 * time.Millisecond, Max: 500 * time.Millisecond}

// wish is an event that a publish waits for at a peer, until ctx ends.
type wish struct {
	ctx      context.Context
	id       string
	verdicts chan<- verdict // has room
}

// peer is another node, and what is waited for there.
type peer struct {
	durable *Durable
	name    string

	mu     sync.Mutex
	wishes []*wish   // that no request under way has
	asking int       // requests under way
	ableAt time.Time // when it said so last
}

// fresh tells whether the peer said a moment ago that it keeps a journal on a disk.
func (p *peer) fresh() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.ableAt) < ableFor
}

// saidAble notes that the peer keeps a journal on a disk.
func (p *peer) saidAble() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ableAt = time.Now()
}

// able asks why the peer keeps no journal on a disk; "" if it does.
func (p *peer) able(ctx context.Context) string {
	_, why, err := p.ask(ctx, nil)
	if err != nil {
		why = "does not answer: " + err.Error()
	}
	return why
}

// add has the peer asked for an event.
func (p *peer) add(w *wish) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wishes = append(p.wishes, w)
	if p.asking < asksAtOnce {
		p.asking++
		go p.run()
	}
}

// run asks for all that is waited for, until nothing is.
func (p *peer) run() {
	for vain := 0; ; {
		wishes := p.take()
		if len(wishes) == 0 {
			return
		}
		open := p.fulfil(wishes)
		p.mu.Lock()
		p.wishes = append(p.wishes, open...)
		p.mu.Unlock()
		if vain++; len(open) < len(wishes) {
			vain = 0
			continue
		}
		backoff.Sleep(open[0].ctx, askAgain.Ceiling(vain))
	}
}

// take takes what is to be asked for next. If that is nothing, the caller asks no more.
func (p *peer) take() (wishes []*wish) {
	p.mu.Lock()
	defer p.mu.Unlock()
	rest := p.wishes[:0]
	for _, w := range p.wishes {
		switch {
		case w.ctx.Err() != nil:
		case len(wishes) < maxIDs:
			wishes = append(wishes, w)
		default:
			rest = append(rest, w)
		}
	}
	clear(p.wishes[len(rest):])
	if p.wishes = rest; len(wishes) == 0 {
		p.asking--
	}
	return wishes
}

// fulfil asks for events, and returns those that the peer is to be asked for again.
func (p *peer) fulfil(wishes []*wish) (open []*wish) {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	ids := make([]string, len(wishes))
	for i, w := range wishes {
		ids[i] = w.id
	}
	synced, why, err := p.ask(ctx, ids)
	for i, w := range wishes {
		switch {
		case err != nil: // perhaps the link broke
			open = append(open, w)
		case why != "" || synced[i]:
			w.verdicts <- verdict{p.name, why}
		default:
			open = append(open, w)
		}
	}
	return open
}

// ask sends a request. It returns which events the peer has on its disk, or why it can
// have none there.
func (p *peer) ask(ctx context.Context, ids []string) (synced []bool, why string, err error) {
	raw, err := p.durable.cfg.Ask(ctx, p.name, encodeRequest(ids))
	switch {
	case errors.Is(err, link.ErrUnknownKind):
		return nil, "its version of agentctl knows no durable publish", nil
	case errors.Is(err, link.ErrNotPeer):
		return nil, "is not agentctl", nil
	case err != nil:
		return nil, "", err
	}
	r, err := decodeReply(raw, len(ids))
	if err != nil {
		return nil, "", err
	}
	if r.reason == "" {
		p.saidAble()
	}
	return r.synced, r.reason, nil
}
