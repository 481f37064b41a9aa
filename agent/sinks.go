package agent

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent/config"
	"agentctl/agent/dropped"
	"agentctl/agent/ops"
	"agentctl/agent/script"
	"agentctl/handler"
	"agentctl/handler/delivery"
	"agentctl/handler/journal"
	"agentctl/handler/probe"
	"agentctl/handler/target"
	"agentctl/handler/text"
)

// sinksConfig is what sinks are made of.
type sinksConfig struct {
	Journal *journal.Journal
	// MaxAge is the journal's, after which a target that is not configured any
	// more is forgotten.
	MaxAge time.Duration
	// SetRunners is told who gets events from now on beside the journal.
	SetRunners func([]*script.Runner)
	// Revise says what a target is told of a member event; nil: the event as it is.
	Revise func(context.Context, handler.Event) (handler.Event, bool)
	Self   func() serf.Member
	// Attempted is told of each attempt to post; it may be nil.
	Attempted  func(target string, e handler.Event, err error, took time.Duration)
	Dial       target.Dial // connects to targets; may be nil
	Logger     *slog.Logger
	Deliveries *slog.Logger // for the lines of deliveries
	Metrics    prometheus.Registerer
}

// sinks are the places that this node's events go to. Its methods are safe for
// concurrent use.
type sinks struct {
	cfg     sinksConfig
	scripts *script.Metrics
	targets *delivery.Metrics
	prober  *probe.Prober      // of all targets: some listen at one address
	removed prometheus.Counter // events that waited for a target that is configured no more

	reload  sync.Mutex // one change at a time, and none before or after Run's work
	running *part      // that the sinks run in; nil where there is no change

	mu       sync.Mutex // held for moments only; who changes the two holds reload too
	handlers config.Handlers
	list     []*sink
}

func newSinks(cfg sinksConfig) *sinks {
	return &sinks{
		cfg:     cfg,
		scripts: script.NewMetrics(cfg.Metrics),
		targets: delivery.NewMetrics(cfg.Metrics),
		prober:  probe.New(probe.Dial(cfg.Dial), cfg.Metrics),
		removed: dropped.Counter(cfg.Metrics, "target_removed"),
	}
}

// logAll says what is served.
func (ss *sinks) logAll() {
	handlers := ss.configured()
	for _, t := range handlers.Targets {
		ss.logTarget(t, handlers.Native[t.Name])
	}
	for _, s := range handlers.Scripts {
		ss.logScript(s)
	}
}

func (ss *sinks) logTarget(t target.Target, inPlaceOf string) {
	args := []any{"target", t.Name, "events", t.Filters.String()}
	if inPlaceOf != "" {
		args = append(args, "in_place_of", inPlaceOf)
	}
	ss.cfg.Logger.Info("events are posted", args...)
}

func (ss *sinks) logScript(s config.Script) {
	ss.cfg.Logger.Info("events are handled by a script", "script", text.Redact(s.Command), "events", s.Filters.String())
}

// configured are the targets and scripts that there are by the configuration.
func (ss *sinks) configured() config.Handlers {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return ss.handlers
}

// served are the sinks that are served now.
func (ss *sinks) served() []*sink {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return slices.Clone(ss.list)
}

// runners are the runners of all sinks.
func (ss *sinks) runners() []*script.Runner { return runnersOf(ss.served()) }

func runnersOf(list []*sink) (out []*script.Runner) {
	for _, s := range list {
		if s.runner != nil {
			out = append(out, s.runner)
		}
	}
	return out
}

// status is how all targets stand.
func (ss *sinks) status() []delivery.Status {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	out := []delivery.Status{}
	for _, s := range ss.list {
		if s.delivery != nil {
			out = append(out, s.delivery.Status())
		}
	}
	return out
}

// retryNow has all targets tried at once for which events wait after a failure.
func (ss *sinks) retryNow() {
	for _, s := range ss.served() {
		if s.delivery != nil {
			s.delivery.RetryNow()
		}
	}
}

// forOps are the targets that are served now, for the operations endpoint.
func (ss *sinks) forOps() (out []ops.Target) {
	for _, s := range ss.served() {
		if s.delivery != nil {
			out = append(out, ops.Target{Target: s.target, Delivery: s.delivery})
		}
	}
	return out
}
