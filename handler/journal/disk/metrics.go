package disk

import "github.com/prometheus/client_golang/prometheus"

// collector reads a Disk's metrics from its Status, so the two agree.
type collector struct{ d *Disk }

func diskDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("agentctl_journal_"+name, help, nil, nil)
}

var (
	diskDegradedDesc   = diskDesc("degraded", "1 while the journal's disk fails or does not keep up.")
	diskDegradesDesc   = diskDesc("degraded_total", "How often the journal's disk began to fail or lag.")
	diskUnwrittenDesc  = diskDesc("unwritten_events", "Events that are not in the journal's file yet.")
	diskDuplicatesDesc = diskDesc("duplicates_total", "Events left out because the journal held them already.")
	diskCommitsDesc    = diskDesc("commits_total", "Commits of the journal's file.")
	diskFailuresDesc   = diskDesc("commit_failures_total", "Commits of the journal's file that failed.")
)

func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{diskDegradedDesc, diskDegradesDesc, diskUnwrittenDesc,
		diskDuplicatesDesc, diskCommitsDesc, diskFailuresDesc} {
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
	send(diskDegradedDesc, prometheus.GaugeValue, degraded)
	send(diskDegradesDesc, prometheus.CounterValue, float64(s.Degrades))
	send(diskUnwrittenDesc, prometheus.GaugeValue, float64(s.Unwritten))
	send(diskDuplicatesDesc, prometheus.CounterValue, float64(s.Duplicates))
	send(diskCommitsDesc, prometheus.CounterValue, float64(s.Commits))
	send(diskFailuresDesc, prometheus.CounterValue, float64(s.Failures))
}
