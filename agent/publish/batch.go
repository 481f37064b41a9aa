package publish

import (
	"context"
	"log/slog"

	"agentctl/agent/gossip"
	"agentctl/agent/large"
	"agentctl/agent/peers"
)

// Event is an event to publish.
type Event struct {
	Name     string
	Payload  []byte
	Coalesce bool
}

// PublishAll sends events one after another, as [Publisher.Publish] sends each, and no
// other publish comes between them. It takes the lock once for all of them, so keep a
// batch short: others wait meanwhile.
//
// It ends at the first event that cannot be sent. sent are the events before it, and err
// says why it was not sent. The events behind it go nowhere. If large events are among
// those sent, each of them has what [Publisher.Report] tells, after the same wait.
func (p *Publisher) PublishAll(ctx context.Context, events []Event) (sent []Sent, err error) {
	if sent, err = p.sendAll(ctx, events); err != nil {
		p.metrics.published(err)
	}
	var first *Sent // of those that go by reference
	for i := range sent {
		p.metrics.published(nil)
		switch e := &sent[i]; {
		case !e.byReference:
		case first == nil:
			first = e
			p.tell(ctx, e)
		default:
			e.Unreached, e.Warning = first.Unreached, first.Warning
		}
	}
	return sent, err
}

func (p *Publisher) sendAll(ctx context.Context, events []Event) (sent []Sent, err error) {
	if err := p.hold(ctx); err != nil {
		return nil, err
	}
	if err := p.one.lock(ctx, p.cfg.Sending); err != nil {
		return nil, err
	}
	defer p.one.unlock()
	sent = make([]Sent, 0, len(events))
	for i := range events {
		e := &events[i]
		if err := p.allowed(e.Name, e.Payload); err != nil {
			return sent, err
		}
		if p.cfg.Publishing != nil {
			p.cfg.Publishing(e.Name, e.Payload)
		}
		p.alone()
		s, err := p.send(ctx, e.Name, e.Payload, e.Coalesce)
		if err != nil {
			return sent, err
		}
		sent = append(sent, s)
	}
	return sent, nil
}

// allowed tells whether an event may be published, whatever Lamport time it gets.
func (p *Publisher) allowed(name string, payload []byte) error {
	if name == large.EventName {
		return ErrReserved
	}
	if err := p.cfg.fits(&gossip.Message{Name: name, Payload: payload}); err != nil && !p.cfg.MayRefer(name, payload) {
		return err
	}
	return nil
}

// tell fills in which members do not get a large event. It may wait some two seconds,
// if members have not said yet what they are.
func (p *Publisher) tell(ctx context.Context, e *Sent) {
	ctx, cancel := context.WithTimeout(ctx, 2*peers.Silence)
	defer cancel()
	e.Unreached = p.unreached(ctx)
	if e.Warning = p.warning(e.Unreached); e.Warning != "" {
		p.sampled.Log(slog.LevelWarn, "a large event does not reach all members", largeWarnEvery,
			"event", e.Name, "bytes", len(e.Payload), "reason", e.Warning)
	}
}
