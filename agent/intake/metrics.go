package intake

import (
	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent/dropped"
)

// metrics counts what comes in. A nil *metrics counts nothing.
type metrics struct {
	events *prometheus.CounterVec
	copies *prometheus.CounterVec
	users  map[Way]prometheus.Counter // of events
	full   prometheus.Counter
	unread prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "agentctl_events_received_total",
			Help: "Events taken in, each once, by type and way of the first copy: gossip, link, repair, fetch (after a reference) or local (published).",
		}, []string{"type", "way"}),
		copies: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "agentctl_events_copies_total",
			Help: "Copies of user events that this node had already, by the way they came.",
		}, []string{"way"}),
		users:  map[Way]prometheus.Counter{},
		full:   dropped.Counter(reg, "intake_full"), // the journal did not take them in time
		unread: dropped.Counter(reg, "gossip_full"), // messages, each of which may have been an event
	}
	reg.MustRegister(m.events, m.copies)
	// There from the beginning, so that an increase from 0 is one.
	for _, w := range []Way{Gossip, Link, Local, Repair, Fetch} {
		m.users[w] = m.events.WithLabelValues(serf.EventUser.String(), w.String())
		m.copies.WithLabelValues(w.String())
	}
	return m
}

func (m *metrics) received(typ string, w Way) {
	if m != nil {
		m.events.WithLabelValues(typ, w.String()).Inc()
	}
}

func (m *metrics) receivedUser(w Way) {
	if m != nil {
		m.users[w].Inc()
	}
}

func (m *metrics) copied(w Way) {
	if m != nil {
		m.copies.WithLabelValues(w.String()).Inc()
	}
}

func (m *metrics) missed(n uint64) {
	if m != nil {
		m.unread.Add(float64(n))
	}
}

func (m *metrics) dropped() {
	if m != nil {
		m.full.Inc()
	}
}
