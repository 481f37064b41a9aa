package suspicion

import "github.com/prometheus/client_golang/prometheus"

// newCounted counts the holes that counted. A nil registerer leaves it unregistered.
func newCounted(reg prometheus.Registerer) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "agentctl_suspected_holes_total",
		Help: "Holes in the Lamport times that counted as suspected losses of events. Each target was flushed once for those that were found together.",
	})
	if reg != nil {
		reg.MustRegister(c)
	}
	return c
}
