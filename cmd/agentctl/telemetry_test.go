package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-metrics"
	metricsprom "github.com/hashicorp/go-metrics/prometheus"
	"github.com/prometheus/client_golang/prometheus"
)

// What serf counts is in the agent's metrics, but for its counts by name: names
// are whatever strangers make up.
func TestSerfsMetricsAreBounded(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	sink, err := metricsprom.NewPrometheusSinkFrom(metricsprom.PrometheusOpts{Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	conf := metrics.DefaultConfig("serf-agent")
	conf.EnableHostname, conf.EnableRuntimeMetrics = false, false
	m, err := metrics.New(conf, boundedSink{sink})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range [][]string{{"serf", "events"}, {"serf", "events", "kong"}, {"serf", "queries"}, {"serf", "queries", "load"}, {"serf", "member", "join"}} {
		m.IncrCounterWithLabels(key, 1, nil) // as serf does
		m.IncrCounter(key, 1)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
	}
	if got, want := strings.Join(names, " "), "serf_agent_serf_events serf_agent_serf_member_join serf_agent_serf_queries"; got != want {
		t.Errorf("the metrics are %s, want %s", got, want)
	}
}

// However many names there are of events and queries, the sinks that serf has keep a
// bounded number. Each event is counted, and a name that was known before goes on.
func TestNamesOfSerfsMetricsAreBounded(t *testing.T) {
	t.Parallel()
	inmem := metrics.NewInmemSink(time.Hour, time.Hour)
	conf := metrics.DefaultConfig("serf-agent")
	conf.EnableHostname, conf.EnableRuntimeMetrics = false, false
	m, err := metrics.New(conf, &namesSink{FanoutSink: metrics.FanoutSink{inmem}, known: map[string]bool{}})
	if err != nil {
		t.Fatal(err)
	}
	const events = 10_000
	for i := range events {
		m.IncrCounter([]string{"serf", "events", "kong"}, 1)
		m.IncrCounterWithLabels([]string{"serf", "events", fmt.Sprint("made up ", i)}, 1, nil)
		m.IncrCounter([]string{"serf", "member", "join"}, 1)
	}
	counters := inmem.Data()[0].Counters
	sum := 0
	for key, c := range counters {
		if strings.HasPrefix(key, "serf-agent.serf.events.") {
			sum += c.Count
		}
	}
	if len(counters) != maxNames+2 || sum != 2*events || counters["serf-agent.serf.events.kong"].Count != events {
		t.Errorf("%d names count %d of %d events", len(counters), sum, 2*events)
	}
}
