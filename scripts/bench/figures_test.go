//go:build linux

package main

import "testing"

func TestPercentile(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[len(hundred)-1-i] = float64(i + 1) // not in order
	}
	for _, tt := range []struct {
		p      float64
		values []float64
		want   float64
	}{
		{50, hundred, 50},
		{99, hundred, 99},
		{100, hundred, 100},
		{0, hundred, 1},
		{99, []float64{3, 1, 2}, 3},
		{50, []float64{3, 1, 2}, 2},
		{50, []float64{2, 1}, 1},
		{50, nil, 0},
	} {
		if got := percentile(tt.p, tt.values); got != tt.want {
			t.Errorf("percentile %v of %v is %v, want %v", tt.p, tt.values, got, tt.want)
		}
	}
	if hundred[0] != 100 {
		t.Error("percentile changed its argument")
	}
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 2, 9}, 3},
		{nil, 0},
	} {
		if got := median(tt.values); got != tt.want {
			t.Errorf("median of %v is %v, want %v", tt.values, got, tt.want)
		}
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.0042: "0.0042", 0.25: "0.25", 1: "1", 1.239: "1.24", 9.994: "9.99", 12.34: "12.3",
		99.94: "99.9", 99.96: "100", 100.4: "100", 999.6: "1,000", 12345: "12,345", 1234567: "1,234,567", -1234: "-1,234",
	} {
		if got := number(v); got != want {
			t.Errorf("%v is printed as %q, want %q", v, got, want)
		}
	}
}
