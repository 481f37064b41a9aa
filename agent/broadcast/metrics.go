package broadcast

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics counts what is sent. A nil *metrics counts nothing.
type metrics struct{ direct *prometheus.CounterVec }

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{direct: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "agentctl_direct_messages_total",
		Help: "Events sent directly to stock members: by UDP or TCP, or failed or dropped and so left to gossip.",
	}, []string{"result"})}
	// There from the beginning, so that an increase from 0 is one.
	for _, result := range []string{"udp", "tcp", "failed", "dropped"} {
		m.direct.WithLabelValues(result)
	}
	return m
}

func (m *metrics) directSent(result string) {
	if m != nil {
		m.direct.WithLabelValues(result).Inc()
	}
}
