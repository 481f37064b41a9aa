package publish

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/gossip"
	"agentctl/agent/intake"
	"agentctl/agent/large"
	"agentctl/agent/link"
)

// malformedEvery is how often, at first, a message is logged that is no event. A
// peer can send very many of them.
const malformedEvery = time.Second

// TakeLinked takes in the events that a peer sent over a link. Serf gets each of
// them too. So serf's clock advances, and gossip carries the event to members
// that have no link to the publisher. Serf refuses an event that is too old, but
// the intake has taken it by then.
func (p *Publisher) TakeLinked(from link.Peer, msgs [][]byte) {
	events, raws := make([]serf.UserEvent, 0, len(msgs)), make([][]byte, 0, len(msgs))
	for _, msg := range msgs {
		e, raw, err := p.unlink(msg)
		if err != nil {
			p.sampled.Log(slog.LevelWarn, "a peer sent a message that is no event", malformedEvery, "peer", from.Name, "error", err)
			continue
		}
		if !p.cfg.Node.Takes(uint64(e.LTime)) {
			p.cfg.Refused(uint64(e.LTime))
			continue
		}
		events, raws = append(events, e), append(raws, raw)
	}
	if len(events) == 0 || p.cfg.Intake.Take(p.cfg.Sending, intake.Link, events...) != nil {
		return // the agent ends, if there are any
	}
	for _, raw := range raws {
		p.cfg.Node.Inject(raw)
	}
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
