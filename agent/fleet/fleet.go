package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"agentctl/agent/api"
	"agentctl/agent/delegate"
	"agentctl/agent/link"
)

// Config is what [New] needs.
type Config struct {
	Self    string // this node's name
	Members func() []serf.Member
	// Living are the nodes that live or have a link, whatever serf says of them.
	Living func() []serf.Member
	Peers  Peers
	// Ask brings a question to a member, where its [Fleet.Answer] answers it.
	Ask func(ctx context.Context, m serf.Member, req []byte) ([]byte, error)
	// Status is how this node is.
	Status  func() api.StatusReport
	Metrics prometheus.Registerer // nil counts nothing
}

// Peers tells which members can be asked.
type Peers interface {
	// Look finds out whether members are peers, if that is not known yet.
	Look(names []string)
	// Knows tells whether a member is a peer.
	Knows(name string) bool
	// MayAnswer tells whether a member may still say that it is a peer.
	MayAnswer(name string, now time.Time) bool
}

// Fleet asks members how they are, and answers those that ask. Its methods are safe for
// concurrent use.
type Fleet struct {
	cfg       Config
	delegates *delegate.Delegates
}

// New makes a Fleet.
func New(cfg Config) *Fleet {
	f := &Fleet{cfg: cfg}
	handled := promauto.With(cfg.Metrics).NewCounterVec(prometheus.CounterOpts{
		Name: "agentctl_status_delegated_total",
		Help: "Requests of other agents to ask many members for their status, by result.",
	}, []string{"result"})
	for _, result := range []string{"answered", "busy", "refused"} {
		handled.WithLabelValues(result) // there from the beginning, so that an increase from 0 is one
	}
	f.delegates = delegate.New(delegate.Config{
		Self: cfg.Self, Version: delegatedVersion,
		Here:    func(context.Context, []byte) (delegate.Answer, error) { return f.here() },
		Others:  f.alive,
		Handled: func(result string) { handled.WithLabelValues(result).Inc() },
	})
	return f
}

var errQuestion = errors.New("a question of another version")

// Answer answers a peer that asks how this node is, or that has this node ask others.
func (f *Fleet) Answer(ctx context.Context, from link.Peer, req []byte) ([]byte, error) {
	switch {
	case len(req) > 0 && req[0] == delegatedVersion:
		return f.delegates.Handle(ctx, from.Addr, req)
	case len(req) > 0 && req[0] == ownVersion:
		packed, err := f.here()
		if err != nil {
			return nil, err
		}
		return encode(packed), nil
	}
	return nil, errQuestion
}

// here is this node's own answer.
func (f *Fleet) here() (delegate.Answer, error) {
	s := f.cfg.Status()
	a := own(&s)
	return a.pack(time.Now())
}

// alive are the members that are alive now, to ask them for another node. Whoever asks
// vouches that they are peers.
func (f *Fleet) alive() delegate.Others {
	l := members{f, map[string]serf.Member{}}
	for _, m := range f.cfg.Members() {
		if m.Status == serf.StatusAlive {
			l.byName[m.Name] = m
		}
	}
	return l
}

// members are asked over links to them. They are the [delegate.Others].
type members struct {
	fleet  *Fleet
	byName map[string]serf.Member
}

func (l members) Ask(ctx context.Context, name string, question []byte) (delegate.Answer, error) {
	raw, err := l.Pass(ctx, name, question)
	if err != nil {
		return delegate.Answer{}, err
	}
	return decode(raw)
}

func (l members) Pass(ctx context.Context, name string, req []byte) ([]byte, error) {
	m, ok := l.byName[name]
	if !ok {
		return nil, fmt.Errorf("%q is no member", name)
	}
	return l.fleet.cfg.Ask(ctx, m, req)
}
