package main

import (
	"strings"
	"testing"

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
