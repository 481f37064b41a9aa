package membership

import "testing"

func TestNoRegistryCountsNothing(t *testing.T) {
	m := newRejoinMetrics(nil)
	m.rejoined("joined")
	m.setLost(1)
}
