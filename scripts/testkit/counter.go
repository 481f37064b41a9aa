package testkit

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Counter reads a counter from a registry: the sum of those whose first label has
// a value; 0 if there are none.
func Counter(t *testing.T, reg prometheus.Gatherer, name, label string) (sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name || f.GetType() != dto.MetricType_COUNTER {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == label {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// CounterWith reads a counter from a registry: the sum of those that have all of
// these labels; 0 if there are none.
func CounterWith(t testing.TB, reg prometheus.Gatherer, name string, labels map[string]string) (sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name || f.GetType() != dto.MetricType_COUNTER {
			continue
		}
		for _, m := range f.GetMetric() {
			has := 0
			for _, l := range m.GetLabel() {
				if want, ok := labels[l.GetName()]; ok && want == l.GetValue() {
					has++
				}
			}
			if has == len(labels) {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}
