package membership

import "github.com/prometheus/client_golang/prometheus"

// rejoinMetrics counts tries to join lost members. A nil *rejoinMetrics counts
// nothing.
type rejoinMetrics struct {
	rejoins *prometheus.CounterVec
	lost    prometheus.Gauge
}

// newRejoinMetrics registers the metrics with reg, if there is one.
func newRejoinMetrics(reg prometheus.Registerer) *rejoinMetrics {
	if reg == nil {
		return nil
	}
	m := &rejoinMetrics{
		rejoins: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "agentctl_rejoins_total",
			Help: "Attempts after the first join to join lost members, and addresses of -retry-join that are not members, by result.",
		}, []string{"result"}),
		lost: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "agentctl_members_lost",
			Help: "Known members that are not alive now and have not left. Members that serf has forgotten count, too.",
		}),
	}
	reg.MustRegister(m.rejoins, m.lost)
	return m
}

func (m *rejoinMetrics) rejoined(result string) {
	if m != nil {
		m.rejoins.WithLabelValues(result).Inc()
	}
}

func (m *rejoinMetrics) setLost(n int) {
	if m != nil {
		m.lost.Set(float64(n))
	}
}
