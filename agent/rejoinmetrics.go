package agent

import "github.com/prometheus/client_golang/prometheus"

// rejoinMetrics counts tries to join what was lost. A nil *rejoinMetrics counts
// nothing.
type rejoinMetrics struct{ rejoins *prometheus.CounterVec }

func newRejoinMetrics(reg prometheus.Registerer) *rejoinMetrics {
	m := &rejoinMetrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "agentctl_rejoins_total",
		Help: "Tries to join lost members, and addresses of -retry-join that are no member, after the first join, by result.",
	}, []string{"result"})}
	reg.MustRegister(m.rejoins)
	return m
}

func (m *rejoinMetrics) rejoined(result string) {
	if m != nil {
		m.rejoins.WithLabelValues(result).Inc()
	}
}
