package main

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-metrics"
	metricsprom "github.com/hashicorp/go-metrics/prometheus"
	gsyslog "github.com/hashicorp/go-syslog"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent/config"
	"agentctl/agent/logs"
)

// newHub makes the log of an agent with this configuration. Its lines in syslog are
// tagged with the name of the program that it stands for.
func newHub(conf *config.Config, out io.Writer, format string) (*logs.Hub, error) {
	cfg := logs.Config{Out: out, Format: format, Level: conf.Level}
	if conf.EnableSyslog {
		tag := "agentctl"
		if conf.AsSerf {
			tag = "serf"
		}
		to, err := gsyslog.NewLogger(gsyslog.LOG_NOTICE, conf.SyslogFacility, tag)
		if err != nil {
			return nil, fmt.Errorf("syslog: %w", err)
		}
		cfg.Syslog = func(level slog.Level, text string) {
			to.WriteLevel(priority(level), []byte(text)) // there is nowhere left to report it
		}
	}
	return logs.New(cfg), nil
}

// priority is the severity that serf gives a line of a level in syslog.
func priority(level slog.Level) gsyslog.Priority {
	switch {
	case level >= slog.LevelError:
		return gsyslog.LOG_ERR
	case level >= slog.LevelWarn:
		return gsyslog.LOG_WARNING
	case level >= slog.LevelInfo:
		return gsyslog.LOG_NOTICE
	case level >= slog.LevelDebug:
		return gsyslog.LOG_INFO
	}
	return gsyslog.LOG_DEBUG
}

// startTelemetry sends serf's own metrics where serf would: to statsite and
// statsd where they are set, and to standard error on SIGUSR1; and to the agent's
// /metrics, where that is served. It sets up the process's global metrics, which
// is what serf and memberlist write to, so it comes before the agent.
func startTelemetry(c *config.Config, reg prometheus.Registerer) (stop func(), err error) {
	inmem := metrics.NewInmemSink(10*time.Second, time.Minute)
	sinks := metrics.FanoutSink{inmem}
	if c.StatsiteAddr != "" {
		s, err := metrics.NewStatsiteSink(c.StatsiteAddr)
		if err != nil {
			return nil, fmt.Errorf("statsite_addr: %w", err)
		}
		sinks = append(sinks, s)
	}
	if c.StatsdAddr != "" {
		s, err := metrics.NewStatsdSink(c.StatsdAddr)
		if err != nil {
			return nil, fmt.Errorf("statsd_addr: %w", err)
		}
		sinks = append(sinks, s)
	}
	conf := metrics.DefaultConfig("serf-agent")
	conf.EnableHostname = len(sinks) > 1 // as serf has it
	// Reading Go's own figures each second stops the program each time. /metrics
	// has them too, read when it is asked for.
	conf.EnableRuntimeMetrics = c.AsSerf || len(sinks) > 1
	if c.HTTPAddr != config.Off {
		// What is counted once stays: series that come and go look like restarts.
		s, err := metricsprom.NewPrometheusSinkFrom(metricsprom.PrometheusOpts{Registerer: reg})
		if err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
		sinks = append(sinks, boundedSink{s})
	}
	if _, err := metrics.NewGlobal(conf, &namesSink{FanoutSink: sinks, known: map[string]bool{}}); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	onSignal := metrics.DefaultInmemSignal(inmem)
	return onSignal.Stop, nil
}

const (
	// maxNames is how many names of events and queries are counted each by itself. statsd
	// may get those of serf, but whoever may publish can make up any number. In memory
	// each takes half a kilobyte.
	maxNames = 256
	// maxNameBytes is how long such a name may be.
	maxNameBytes = 128
	// otherName is what all further names count under.
	otherName = "other"
)

// namesSink bounds the names that serf counts events and queries under. A name that was
// counted stays.
type namesSink struct {
	metrics.FanoutSink

	mu    sync.Mutex
	known map[string]bool
}

// bounded is key, or if there are too many names the one of all others.
func (s *namesSink) bounded(key []string) []string {
	n := len(key)
	if n < 3 || key[n-3] != "serf" || key[n-2] != "events" && key[n-2] != "queries" {
		return key
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if name := key[n-1]; !s.known[name] {
		if len(s.known) >= maxNames || len(name) > maxNameBytes {
			return append(slices.Clone(key[:n-1]), otherName)
		}
		s.known[name] = true
	}
	return key
}

func (s *namesSink) IncrCounter(key []string, v float32) {
	s.FanoutSink.IncrCounter(s.bounded(key), v)
}

func (s *namesSink) IncrCounterWithLabels(key []string, v float32, labels []metrics.Label) {
	s.FanoutSink.IncrCounterWithLabels(s.bounded(key), v, labels)
}

// boundedSink leaves out what serf counts for each name of an event or a query:
// whoever may publish could fill the memory with names. It also leaves out what the
// agent counts by names of its own.
type boundedSink struct{ *metricsprom.PrometheusSink }

func leftOut(key []string) bool {
	n := len(key)
	if n < 3 {
		return false
	}
	switch key[n-3] + "." + key[n-2] {
	case "serf.events", "serf.queries", "agent.ipc", "agent.invoke":
		return true
	}
	return false
}

func (s boundedSink) IncrCounter(key []string, v float32) {
	if !leftOut(key) {
		s.PrometheusSink.IncrCounter(key, v)
	}
}

func (s boundedSink) IncrCounterWithLabels(key []string, v float32, labels []metrics.Label) {
	if !leftOut(key) {
		s.PrometheusSink.IncrCounterWithLabels(key, v, labels)
	}
}

func (s boundedSink) AddSampleWithLabels(key []string, v float32, labels []metrics.Label) {
	if !leftOut(key) {
		s.PrometheusSink.AddSampleWithLabels(key, v, labels)
	}
}
