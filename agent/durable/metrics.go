package durable

import "github.com/prometheus/client_golang/prometheus"

// metrics counts durable publishes. A nil *metrics counts nothing.
type metrics struct{ publishes, requests *prometheus.CounterVec }

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		publishes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "agentctl_durable_publishes_total",
			Help: "Durable publishes here: enough nodes had the event (reached), fewer had it in time (missed), or nothing was published (refused).",
		}, []string{"result"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "agentctl_durable_requests_total",
			Help: "Questions of peers whether events are on this node's disk, or for a delegate on those of others, by result.",
		}, []string{"result"}),
	}
	reg.MustRegister(m.publishes, m.requests)
	// There from the beginning, so that an increase from 0 is one.
	for _, result := range []string{"reached", "missed", "refused"} {
		m.publishes.WithLabelValues(result)
	}
	for _, result := range []string{"answered", "delegated", "busy", "refused", "failed"} {
		m.requests.WithLabelValues(result)
	}
	return m
}

func (m *metrics) published(result string) {
	if m != nil {
		m.publishes.WithLabelValues(result).Inc()
	}
}

func (m *metrics) handled(result string) {
	if m != nil {
		m.requests.WithLabelValues(result).Inc()
	}
}

// delegated counts what came of a request to ask others.
func (m *metrics) delegated(result string) {
	if result == "answered" {
		result = "delegated"
	}
	m.handled(result)
}
