//go:build linux

package main

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// percentile is the smallest value that at least p percent of the values do not
// exceed; 0 where there are none. Of fewer than 100 values the 99th percentile
// is thus the largest.
func percentile(p float64, values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// median is the middle value, or the mean of the two in the middle; 0 where
// there are none.
func median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// quotients are those of the pairs.
func quotients(over, under []float64) []float64 {
	var qs []float64
	for i := range over {
		qs = append(qs, over[i]/under[i])
	}
	return qs
}

// millis is a time in milliseconds.
func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// number prints a figure with three significant digits and no more precision
// than it has, large ones with commas.
func number(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 0.01 && v > -0.01:
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
	digits := 0
	for limit := 99.95; digits < 2 && math.Abs(v) < limit; limit /= 10 {
		digits++
	}
	s := strconv.FormatFloat(v, 'f', digits, 64)
	if digits > 0 {
		return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	}
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}
