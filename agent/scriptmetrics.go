package agent

import (
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent/dropped"
)

// scriptMetrics counts what runners do. A nil *scriptMetrics counts nothing.
type scriptMetrics struct {
	runs    *prometheus.CounterVec
	full    prometheus.Counter
	stopped prometheus.Counter
}

func newScriptMetrics(reg prometheus.Registerer) *scriptMetrics {
	m := &scriptMetrics{
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "agentctl_scripts_run_total",
			Help: "Event handler scripts that were run, by result.",
		}, []string{"result"}),
		full:    dropped.Counter(reg, "handler_full"),    // a script is stuck or too slow: lost to it
		stopped: dropped.Counter(reg, "handler_stopped"), // a script had not had them at the end
	}
	reg.MustRegister(m.runs)
	for _, result := range []string{"success", "error"} { // so that an increase from 0 is one
		m.runs.WithLabelValues(result)
	}
	return m
}

func (m *scriptMetrics) ran(err error) {
	if m == nil {
		return
	}
	result := "success"
	if err != nil {
		result = "error"
	}
	m.runs.WithLabelValues(result).Inc()
}

func (m *scriptMetrics) droppedFull() {
	if m != nil {
		m.full.Inc()
	}
}

func (m *scriptMetrics) droppedAtEnd(n int) {
	if m != nil {
		m.stopped.Add(float64(n))
	}
}
