package ops

import (
	"time"

	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"agentctl/agent/version"
)

// collector reads at each collection what the agent is and holds, so that it
// never differs from what status tells.
type collector struct {
	s *Server

	build, joined, members, intake, appended, retained, span *prometheus.Desc
}

func newCollector(s *Server) *collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("agentctl_"+name, help, labels, nil)
	}
	return &collector{
		s:        s,
		build:    desc("build_info", "1, with the program's versions as labels.", "version", "revision", "goversion", "serf"),
		joined:   desc("joined", "1 once a join has succeeded, and where none was asked for; else 0."),
		members:  desc("members", "Members of the cluster that this node knows, itself among them, by status.", "status"),
		intake:   desc("intake_waiting_events", "Events between serf and the journal."),
		appended: desc("journal_events_total", "Events that have come into the journal since it was begun."),
		retained: desc("journal_retained_events", "Events in the journal's history."),
		span:     desc("journal_oldest_seconds", "How long ago the oldest event of the journal's history was first known; 0 without events."),
	}
}

// registerCollectors adds what is read at each collection, and what Prometheus'
// users look for of every Go program.
func registerCollectors(registry *prometheus.Registry, s *Server) {
	registry.MustRegister(newCollector(s), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
}

// Describe is for prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.build, c.joined, c.members, c.intake, c.appended, c.retained, c.span} {
		ch <- d
	}
}

// Collect is for prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	b := version.ReadBuild()
	gauge(c.build, 1, b.Version, b.Revision, b.Go, b.Serf)
	joined := 0.0
	if c.s.cfg.Joined() {
		joined = 1
	}
	gauge(c.joined, joined)
	for status, n := range membersByStatus(c.s.cfg.Members()) {
		gauge(c.members, float64(n), status)
	}
	gauge(c.intake, float64(c.s.cfg.Queued()))
	j := c.s.journal()
	ch <- prometheus.MustNewConstMetric(c.appended, prometheus.CounterValue, float64(j.Head))
	gauge(c.retained, float64(j.Retained))
	span := 0.0
	if !j.Oldest.IsZero() {
		span = max(time.Since(j.Oldest), 0).Seconds()
	}
	gauge(c.span, span)
}

// membersByStatus counts members; statuses that none has are there too.
func membersByStatus(members []serf.Member) map[string]int {
	count := map[string]int{}
	for _, status := range []serf.MemberStatus{serf.StatusAlive, serf.StatusLeaving, serf.StatusLeft, serf.StatusFailed} {
		count[status.String()] = 0
	}
	for _, m := range members {
		count[m.Status.String()]++
	}
	return count
}
