package script

import (
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent/dropped"
)

// Metrics counts what runners do. A nil *Metrics counts nothing.
type Metrics struct {
	runs    *prometheus.CounterVec
	full    prometheus.Counter
	stopped prometheus.Counter
}

func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "agentctl_scripts_run_total",
			Help: "Event handler scripts that were run, by result.",
		}, []string{"result"}),
		full:    dropped.Counter(reg, "handler_full"),    // a script is stuck or too slow: lost to it
		stopped: dropped.Counter(reg, "handler_stopped"), // a script had not had them at the end
	}
	if reg != nil {
		reg.MustRegister(m.runs)
	}
	for _, result := range []string{"success", "error"} { // so that an increase from 0 is one
		m.runs.WithLabelValues(result)
	}
	return m
}

func (m *Metrics) ran(err error) {
	if m == nil {
		return
	}
	result := "success"
	if err != nil {
		result = "error"
	}
	m.runs.WithLabelValues(result).Inc()
}

func (m *Metrics) droppedFull() {
	if m != nil {
		m.full.Inc()
	}
}

func (m *Metrics) droppedAtEnd(n int) {
	if m != nil {
		m.stopped.Add(float64(n))
	}
}
