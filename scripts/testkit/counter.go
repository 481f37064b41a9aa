package testkit

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Counter reads a counter from a registry: the sum of those whose first label has
// a value; 0 if there are none.
func Counter(t testing.TB, reg prometheus.Gatherer, name, label string) float64 {
	t.Helper()
	return sumOf(t, reg, name, func(labels []*dto.LabelPair) bool { return labels[0].GetValue() == label })
}

// CounterWith reads a counter or gauge from a registry: the sum of those that have all of
// these labels; 0 if there are none.
func CounterWith(t testing.TB, reg prometheus.Gatherer, name string, labels map[string]string) float64 {
	t.Helper()
	return sumOf(t, reg, name, func(pairs []*dto.LabelPair) bool {
		has := 0
		for _, l := range pairs {
			if want, ok := labels[l.GetName()]; ok && want == l.GetValue() {
				has++
			}
		}
		return has == len(labels)
	})
}

// sumOf is the sum of the counters, or gauges, of a name whose labels are picked.
func sumOf(t testing.TB, reg prometheus.Gatherer, name string, picks func([]*dto.LabelPair) bool) (sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name || f.GetType() != dto.MetricType_COUNTER && f.GetType() != dto.MetricType_GAUGE {
			continue
		}
		for _, m := range f.GetMetric() {
			if picks(m.GetLabel()) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() // it has one of them
			}
		}
	}
	return sum
}
