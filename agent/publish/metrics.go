package publish

import "github.com/prometheus/client_golang/prometheus"

// metrics counts what is published here. A nil *metrics counts
// nothing.
type metrics struct {
	events *prometheus.CounterVec
	direct *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "agentctl_events_published_total",
			Help: "Events that this agent was asked to publish, by result.",
		}, []string{"result"}),
		direct: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "agentctl_direct_messages_total",
			Help: "Events sent directly to stock members: by UDP or TCP, or failed or dropped and so left to gossip.",
		}, []string{"result"}),
	}
	reg.MustRegister(m.events, m.direct)
	// There from the beginning, so that an increase from 0 is one.
	for _, result := range []string{"success", "error"} {
		m.events.WithLabelValues(result)
	}
	for _, result := range []string{"udp", "tcp", "failed", "dropped"} {
		m.direct.WithLabelValues(result)
	}
	return m
}

func (m *metrics) published(err error) {
	if m == nil {
		return
	}
	result := "success"
	if err != nil {
		result = "error"
	}
	m.events.WithLabelValues(result).Inc()
}

func (m *metrics) directSent(result string) {
	if m != nil {
		m.direct.WithLabelValues(result).Inc()
	}
}
