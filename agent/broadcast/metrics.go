package broadcast

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"agentctl/agent/plumtree"
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

// collector reads the figures of the trees at each collection.
type collector struct {
	t *tree

	neighbours, served, events, gossip, pulls, missed *prometheus.Desc
}

func newCollector(t *tree) *collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("agentctl_tree_"+name, help, labels, nil)
	}
	return &collector{
		t:          t,
		neighbours: desc("neighbours", "Agents with which this node exchanges what goes along trees; 0 in a small cluster, which has none."),
		served:     desc("served_members", "Members that take no part in trees, and get events from this node."),
		events:     desc("events_total", "Events that came along trees: first, as copies, or late, behind a later event of their publisher.", "result"),
		gossip:     desc("gossip_total", "Events whose gossip was held back, and those of them that gossip carried in the end.", "result"),
		pulls:      desc("pulls_total", "Events that this node asked a neighbour for, since their digest was there first."),
		missed:     desc("missed_total", "Events that neighbours told of and did not send, or told of beyond what one may: left to repair."),
	}
}

// Describe is for prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.neighbours, c.served, c.events, c.gossip, c.pulls, c.missed} {
		ch <- d
	}
}

// Collect is for prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	stats, neighbours, served := c.t.figures()
	gauge := func(d *prometheus.Desc, n int) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n))
	}
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge(c.neighbours, neighbours)
	gauge(c.served, served)
	count(c.events, stats.Received, "first")
	count(c.events, stats.Duplicates, "copy")
	count(c.events, stats.Late, "late")
	count(c.gossip, stats.Held, "held")
	count(c.gossip, stats.LetGo, "let_go")
	count(c.pulls, stats.Pulls)
	count(c.missed, stats.Missed+stats.Ignored)
}

func (t *tree) figures() (stats plumtree.Stats, neighbours, serves int) {
	if s := t.serving.Load(); s != nil {
		serves = len(s.links) + len(s.straight)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.core.Stats(), len(t.up), serves
}
