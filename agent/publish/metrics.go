package publish

import "github.com/prometheus/client_golang/prometheus"

// metrics counts what is published here. A nil *metrics counts
// nothing.
type metrics struct {
	events *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "agentctl_events_published_total",
			Help: "Events that this agent was asked to publish, by result.",
		}, []string{"result"}),
	}
	reg.MustRegister(m.events)
	// There from the beginning, so that an increase from 0 is one.
	for _, result := range []string{"success", "error"} {
		m.events.WithLabelValues(result)
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
