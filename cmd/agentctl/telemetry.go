package main

import (
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/go-metrics"
	metricsprom "github.com/hashicorp/go-metrics/prometheus"
	gsyslog "github.com/hashicorp/go-syslog"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent/config"
	"agentctl/agent/logs"
)

// newHub makes the log of an agent with this configuration.
func newHub(conf *config.Config, out io.Writer, format string) (*logs.Hub, error) {
	var syslog io.Writer
	if conf.EnableSyslog {
		var err error
		if syslog, err = gsyslog.NewLogger(gsyslog.LOG_NOTICE, conf.SyslogFacility, "agentctl"); err != nil {
			return nil, fmt.Errorf("syslog: %w", err)
		}
	}
	return logs.New(logs.Config{Out: out, Format: format, Level: conf.Level, Syslog: syslog}), nil
}

// startTelemetry sends serf's own metrics where serf would: to statsite and
// statsd where they are set, and to standard error on SIGUSR1; and to the agent's
// /metrics, where that is served. It sets up the process's global metrics, which
// is what serf and memberlist write to; what they count before is not there.
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
	if _, err := metrics.NewGlobal(conf, sinks); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	onSignal := metrics.DefaultInmemSignal(inmem)
	return onSignal.Stop, nil
}

// boundedSink leaves out what serf counts for each name of an event or a query:
// whoever may publish could fill the memory with names.
type boundedSink struct{ *metricsprom.PrometheusSink }

func perName(key []string) bool {
	n := len(key)
	return n >= 3 && key[n-3] == "serf" && (key[n-2] == "events" || key[n-2] == "queries")
}

func (s boundedSink) IncrCounter(key []string, v float32) {
	if !perName(key) {
		s.PrometheusSink.IncrCounter(key, v)
	}
}

func (s boundedSink) IncrCounterWithLabels(key []string, v float32, labels []metrics.Label) {
	if !perName(key) {
		s.PrometheusSink.IncrCounterWithLabels(key, v, labels)
	}
}
