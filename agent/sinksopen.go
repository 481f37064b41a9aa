package agent

import (
	"fmt"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/config"
	"agentctl/agent/script"
	"agentctl/handler"
	"agentctl/handler/delivery"
	"agentctl/handler/target"
	"agentctl/handler/text"
)

// open makes a sink for each target and script. None of them works before start.
func (ss *sinks) open(handlers config.Handlers) error {
	ss.handlers = handlers
	for _, t := range handlers.Targets {
		s, err := ss.newTarget(t)
		if err == nil {
			err = ss.openDelivery(s)
		}
		if err != nil {
			return err
		}
		ss.list = append(ss.list, s)
	}
	for _, s := range handlers.Scripts {
		ss.list = append(ss.list, ss.newScript(s))
	}
	return nil
}

// newTarget makes all of a target's sink but its delivery.
func (ss *sinks) newTarget(t target.Target) (*sink, error) {
	s := &sink{name: t.Name, target: &t, done: make(chan struct{}), drain: make(chan struct{})}
	if fs := script.QueriesOnly(t.Filters); len(fs) > 0 {
		var err error
		if s.poster, err = target.NewPosterOn(ss.cfg.Dial, t); err != nil {
			return nil, fmt.Errorf("target %s: %w", t.Name, err)
		}
		s.runner = script.NewQueryRunner(t.Name, fs, s.poster, ss.cfg.Logger, ss.scripts)
	}
	return s, nil
}

// openDelivery makes the delivery of a target's sink, once no other has the
// target's cursor open.
func (ss *sinks) openDelivery(s *sink) (err error) {
	if s.target == nil {
		return nil
	}
	cfg := delivery.Config{
		Revise:  ss.cfg.Revise,
		Self:    func() []byte { return script.MemberLines([]serf.Member{ss.cfg.Self()}) },
		Target:  *s.target,
		Dial:    ss.cfg.Dial,
		Prober:  ss.prober,
		Journal: ss.cfg.Journal,
		Logger:  ss.cfg.Deliveries,
		Metrics: ss.targets,
	}
	if attempted := ss.cfg.Attempted; attempted != nil {
		cfg.OnDelivered = func(e handler.Event, took time.Duration) { attempted(s.name, e, nil, took) }
		cfg.OnFailed = func(e handler.Event, err *target.PostError) { attempted(s.name, e, err, 0) }
	}
	s.delivery, err = delivery.New(cfg)
	return err
}

func (ss *sinks) newScript(s config.Script) *sink {
	return &sink{
		name:   text.Redact(s.Command),
		script: s,
		runner: script.New(s.Command, s.Filters, ss.cfg.Self, ss.cfg.Logger, ss.scripts),
		done:   make(chan struct{}),
		drain:  make(chan struct{}),
	}
}
