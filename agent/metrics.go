package agent

import (
	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"
)

// Values of the label reason of dropped events.
const (
	dropIntakeFull     = "intake_full"     // the journal did not take them in time
	dropHandlerFull    = "handler_full"    // a script is stuck or too slow: lost to it
	dropHandlerStopped = "handler_stopped" // a script had not had them at the end
	dropTargetRemoved  = "target_removed"  // they waited for a target that is configured no more
)

// metrics counts what the agent itself does; deliveries and RPC have their
// own. A nil *metrics counts nothing.
type metrics struct {
	events    *prometheus.CounterVec
	copies    *prometheus.CounterVec
	direct    *prometheus.CounterVec
	drops     *prometheus.CounterVec
	rejoins   *prometheus.CounterVec
	published *prometheus.CounterVec
	scripts   *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		reg.MustRegister(c)
		return c
	}
	m := &metrics{
		events:    counter("agentctl_events_received_total", "Events taken in, each once, by type and by the way that its first copy came: gossip, link, repair, fetch (after a reference to it), or local where it was published here.", "type", "way"),
		copies:    counter("agentctl_events_copies_total", "Further copies of user events that were known already, by the way they came.", "way"),
		direct:    counter("agentctl_direct_messages_total", "Events sent straight to members that are no peers, by protocol; failed and dropped ones are left to gossip.", "result"),
		drops:     counter("agentctl_events_dropped_total", "Events that were lost inside the agent, by reason.", "reason"),
		rejoins:   counter("agentctl_rejoins_total", "Tries to join lost members, and addresses of -retry-join that are no member, after the first join, by result.", "result"),
		published: counter("agentctl_events_published_total", "Events that this agent was asked to publish, by result.", "result"),
		scripts:   counter("agentctl_scripts_run_total", "Event handler scripts that were run, by result.", "result"),
	}
	// There from the beginning, so that an increase from 0 is one.
	for _, w := range []way{byGossip, byLink, local, byRepair, byFetch} {
		m.events.WithLabelValues(serf.EventUser.String(), w.String())
		m.copies.WithLabelValues(w.String())
	}
	for _, reason := range []string{dropIntakeFull, dropHandlerFull, dropHandlerStopped, dropTargetRemoved} {
		m.drops.WithLabelValues(reason)
	}
	for _, result := range []string{result(nil), result(errStopping)} {
		m.published.WithLabelValues(result)
		m.scripts.WithLabelValues(result)
	}
	for _, result := range []string{"udp", "tcp", "failed", "dropped"} {
		m.direct.WithLabelValues(result)
	}
	return m
}

func (m *metrics) received(typ string, w way) {
	if m != nil {
		m.events.WithLabelValues(typ, w.String()).Inc()
	}
}

func (m *metrics) copied(w way) {
	if m != nil {
		m.copies.WithLabelValues(w.String()).Inc()
	}
}

func (m *metrics) directSent(result string) {
	if m != nil {
		m.direct.WithLabelValues(result).Inc()
	}
}

func (m *metrics) dropped(reason string, n int) {
	if m != nil {
		m.drops.WithLabelValues(reason).Add(float64(n))
	}
}

func (m *metrics) rejoined(result string) {
	if m != nil {
		m.rejoins.WithLabelValues(result).Inc()
	}
}

func (m *metrics) publish(err error) {
	if m != nil {
		m.published.WithLabelValues(result(err)).Inc()
	}
}

func (m *metrics) scriptRan(err error) {
	if m != nil {
		m.scripts.WithLabelValues(result(err)).Inc()
	}
}

func result(err error) string {
	if err != nil {
		return "error"
	}
	return "success"
}
