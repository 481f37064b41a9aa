package publish

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/broadcast"
	"agentctl/agent/gossip"
	"agentctl/agent/intake"
	"agentctl/agent/large"
	"agentctl/agent/link"
	"agentctl/agent/plumtree"
)

// malformedEvery is how often, at first, a message is logged that is no event. A
// peer can send very many of them.
const malformedEvery = time.Second

// TakeLinked takes in the events that a peer sent over a link. Serf gets each of
// them too. So serf's clock advances, and gossip carries the event to members
// that have no link to the publisher. Serf refuses an event that is too old, but
// the intake has taken it by then.
func (p *Publisher) TakeLinked(from link.Peer, msgs [][]byte) {
	in := p.newTaken(len(msgs))
	for _, msg := range msgs {
		in.read(from.Name, msg)
	}
	if in.taken() {
		for _, raw := range in.raws {
			p.cfg.Node.Inject(raw)
		}
	}
}

// TakeTree is TakeLinked for events that came along the trees. Serf does not pass on those
// that are held. Members that take no part in trees get the events from the agents that
// serve them.
func (p *Publisher) TakeTree(msgs []broadcast.Message) {
	in := p.newTaken(len(msgs))
	kept := make([]broadcast.Message, 0, len(msgs))
	for _, m := range msgs {
		if in.read("", m.Bytes) {
			kept = append(kept, m)
		}
	}
	if !in.taken() {
		return
	}
	for i, raw := range in.raws {
		if fresh := p.inject(raw, kept[i].ID, kept[i].Held); !fresh {
			p.cfg.Broadcast.Gossiped(kept[i].ID)
		}
		p.cfg.Broadcast.Serve(kept[i].Bytes, raw)
	}
}

// inject hands serf an event, which passes it on unless it is held, and tells whether serf
// did not know it.
func (p *Publisher) inject(raw []byte, id plumtree.ID, held bool) (fresh bool) {
	if !held {
		return p.cfg.Node.Inject(raw)
	}
	p.quiet.add(raw, id, time.Now())
	return p.cfg.Node.Give(raw)
}

// Gossip has gossip carry events that serf was given before and that were held back.
func (p *Publisher) Gossip(msgs [][]byte) {
	for _, msg := range msgs {
		if _, raw, err := p.unlink(msg); err == nil {
			p.quiet.takeRaw(raw)
			p.cfg.Node.PassOn(raw)
		}
	}
}

// taken are the events of messages that came together, and serf's messages for them.
type taken struct {
	p      *Publisher
	events []serf.UserEvent
	raws   [][]byte
}

func (p *Publisher) newTaken(n int) taken {
	return taken{p, make([]serf.UserEvent, 0, n), make([][]byte, 0, n)}
}

// read reads a message, and tells whether its event is taken.
func (in *taken) read(from string, msg []byte) bool {
	e, raw, err := in.p.unlink(msg)
	if err != nil {
		in.p.sampled.Log(slog.LevelWarn, "a peer sent a message that is no event", malformedEvery, "peer", from, "error", err)
		return false
	}
	if !in.p.cfg.Node.Takes(uint64(e.LTime)) {
		in.p.cfg.Refused(uint64(e.LTime))
		return false
	}
	in.events, in.raws = append(in.events, e), append(in.raws, raw)
	return true
}

// taken has the intake take the events. It reports false if there are none, or the agent
// ends.
func (in *taken) taken() bool {
	return len(in.events) > 0 && in.p.cfg.Intake.Take(in.p.cfg.Sending, intake.Link, in.events...) == nil
}

// unlink reads an event as it goes over links, and the serf message for it.
func (p *Publisher) unlink(msg []byte) (e serf.UserEvent, raw []byte, err error) {
	if large.Packed(msg) {
		if e, raw, err = unpack(msg); err != nil {
			p.cfg.Large.Refuse(err)
		}
		return e, raw, err
	}
	var m gossip.Message
	err = m.Decode(msg)
	return m.Event(), msg, err
}

// unpack reads a large event that came over a link, and the serf message with
// its reference.
func unpack(msg []byte) (e serf.UserEvent, raw []byte, err error) {
	raw, payload, err := large.Unpack(msg)
	if err != nil {
		return e, nil, err
	}
	var m gossip.Message
	if err := m.Decode(raw); err != nil {
		return e, nil, err
	}
	w, err := intake.Wanted(m.Event())
	if err != nil {
		return e, nil, err
	}
	if !w.Is(w.Name, payload) {
		return e, nil, fmt.Errorf("event %s: the %d bytes that came with its reference are not those of the event", w.ID(), len(payload))
	}
	return intake.Fetched(&w, payload), raw, nil
}
