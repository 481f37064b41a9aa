package main

import (
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/go-metrics"
	gsyslog "github.com/hashicorp/go-syslog"

	"agentctl/agent"
	"agentctl/agent/logs"
)

// newHub makes the log of an agent with these options.
func newHub(opts agent.Options, out io.Writer, format string) (*logs.Hub, error) {
	level, err := logs.ParseLevel(opts.LogLevel)
	if err != nil {
		return nil, err
	}
	var syslog io.Writer
	if opts.EnableSyslog {
		if syslog, err = gsyslog.NewLogger(gsyslog.LOG_NOTICE, opts.SyslogFacility, "agentctl"); err != nil {
			return nil, fmt.Errorf("syslog: %w", err)
		}
	}
	return logs.New(logs.Config{Out: out, Format: format, Level: level, Syslog: syslog}), nil
}

// startTelemetry sends serf's own metrics where serf would: to statsite and
// statsd where they are set, and to standard error on SIGUSR1. It sets up the
// process's global metrics, which is what serf writes to.
func startTelemetry(opts agent.Options) (stop func(), err error) {
	inmem := metrics.NewInmemSink(10*time.Second, time.Minute)
	sinks := metrics.FanoutSink{inmem}
	if opts.StatsiteAddr != "" {
		s, err := metrics.NewStatsiteSink(opts.StatsiteAddr)
		if err != nil {
			return nil, fmt.Errorf("statsite_addr: %w", err)
		}
		sinks = append(sinks, s)
	}
	if opts.StatsdAddr != "" {
		s, err := metrics.NewStatsdSink(opts.StatsdAddr)
		if err != nil {
			return nil, fmt.Errorf("statsd_addr: %w", err)
		}
		sinks = append(sinks, s)
	}
	conf := metrics.DefaultConfig("serf-agent")
	conf.EnableHostname = len(sinks) > 1 // as serf has it
	if _, err := metrics.NewGlobal(conf, sinks); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	onSignal := metrics.DefaultInmemSignal(inmem)
	return onSignal.Stop, nil
}
