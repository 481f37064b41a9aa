package disk

import "github.com/prometheus/client_golang/prometheus"

// collector reads a Disk's metrics from its Status, so the two agree.
type collector struct{ d *Disk }

func newDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("agentctl_journal_"+name, help, nil, nil)
}

var (
	degradedDesc   = newDesc("degraded", "1 while the journal's disk fails or does not keep up.")
	degradesDesc   = newDesc("degraded_total", "How often the journal's disk began to fail or lag.")
	unwrittenDesc  = newDesc("unwritten_events", "Events that are not in the journal's file yet.")
	duplicatesDesc = newDesc("duplicates_total", "Events left out because the journal held them already.")
	commitsDesc    = newDesc("commits_total", "Commits of the journal's file.")
	failuresDesc   = newDesc("commit_failures_total", "Commits of the journal's file that failed.")
)

func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{degradedDesc, degradesDesc, unwrittenDesc,
		duplicatesDesc, commitsDesc, failuresDesc} {
		ch <- desc
	}
}

func (c collector) Collect(ch chan<- prometheus.Metric) {
	s := c.d.Status()
	send := func(desc *prometheus.Desc, typ prometheus.ValueType, v float64) {
		ch <- prometheus.MustNewConstMetric(desc, typ, v)
	}
	degraded := 0.0
	if s.Degraded {
		degraded = 1
	}
	send(degradedDesc, prometheus.GaugeValue, degraded)
	send(degradesDesc, prometheus.CounterValue, float64(s.Degrades))
	send(unwrittenDesc, prometheus.GaugeValue, float64(s.Unwritten))
	send(duplicatesDesc, prometheus.CounterValue, float64(s.Duplicates))
	send(commitsDesc, prometheus.CounterValue, float64(s.Commits))
	send(failuresDesc, prometheus.CounterValue, float64(s.Failures))
}
