package agent

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what the agent itself does; deliveries and RPC have their
// own. A nil *metrics counts nothing.
type metrics struct {
	events    *prometheus.CounterVec
	drops     *prometheus.CounterVec
	published *prometheus.CounterVec
	scripts   *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help, label string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
		reg.MustRegister(c)
		return c
	}
	return &metrics{
		events:    counter("agentctl_events_received_total", "Events taken from serf, by type.", "type"),
		drops:     counter("agentctl_events_dropped_total", "Events that were lost inside the agent, by reason.", "reason"),
		published: counter("agentctl_events_published_total", "Events that this agent was asked to publish, by result.", "result"),
		scripts:   counter("agentctl_scripts_run_total", "Event handler scripts that were run, by result.", "result"),
	}
}

func (m *metrics) received(typ string) {
	if m != nil {
		m.events.WithLabelValues(typ).Inc()
	}
}

func (m *metrics) dropped(reason string, n int) {
	if m != nil {
		m.drops.WithLabelValues(reason).Add(float64(n))
	}
}

func (m *metrics) publish(err error) {
	if m != nil {
		m.published.WithLabelValues(result(err)).Inc()
	}
}

func (m *metrics) scriptRan(err error) {
	if m != nil {
		m.scripts.WithLabelValues(result(err)).Inc()
	}
}

func result(err error) string {
	if err != nil {
		return "error"
	}
	return "success"
}
