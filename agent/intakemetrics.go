package agent

import (
	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent/dropped"
)

// intakeMetrics counts what comes in. A nil *intakeMetrics counts nothing.
type intakeMetrics struct {
	events *prometheus.CounterVec
	copies *prometheus.CounterVec
	full   prometheus.Counter
}

func newIntakeMetrics(reg prometheus.Registerer) *intakeMetrics {
	m := &intakeMetrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "agentctl_events_received_total",
			Help: "Events taken in, each once, by type and by the way that its first copy came: gossip, link, repair, fetch (after a reference to it), or local where it was published here.",
		}, []string{"type", "way"}),
		copies: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "agentctl_events_copies_total",
			Help: "Further copies of user events that were known already, by the way they came.",
		}, []string{"way"}),
		full: dropped.Counter(reg, "intake_full"), // the journal did not take them in time
	}
	reg.MustRegister(m.events, m.copies)
	// There from the beginning, so that an increase from 0 is one.
	for _, w := range []way{byGossip, byLink, local, byRepair, byFetch} {
		m.events.WithLabelValues(serf.EventUser.String(), w.String())
		m.copies.WithLabelValues(w.String())
	}
	return m
}

func (m *intakeMetrics) received(typ string, w way) {
	if m != nil {
		m.events.WithLabelValues(typ, w.String()).Inc()
	}
}

func (m *intakeMetrics) copied(w way) {
	if m != nil {
		m.copies.WithLabelValues(w.String()).Inc()
	}
}

func (m *intakeMetrics) dropped() {
	if m != nil {
		m.full.Inc()
	}
}
