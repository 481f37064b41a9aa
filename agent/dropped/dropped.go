package dropped

import "github.com/prometheus/client_golang/prometheus"

// Counter registers and returns the counter agentctl_events_dropped_total of one
// reason, which no other counter may have. A nil registerer is not told of it.
func Counter(reg prometheus.Registerer, reason string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{
		Name:        "agentctl_events_dropped_total",
		Help:        "Events that were lost inside the agent, by reason.",
		ConstLabels: prometheus.Labels{"reason": reason},
	})
	if reg != nil {
		reg.MustRegister(c)
	}
	return c
}
