package delivery

import (
	"slices"
	"time"
)

// maxSamples is the number of deliveries that Quantiles tell of.
const maxSamples = 1000

// Quantiles tell how long the last deliveries took, at most 1,000 of them, in seconds:
// half of them took at most P50, and so on. They are values that occurred (nearest
// rank). All are zero if Count is.
type Quantiles struct {
	P50   float64
	P90   float64
	P99   float64
	Max   float64
	Count int // of the deliveries
}

// samples are the last durations, in no order.
type samples struct {
	last []time.Duration
	next int // the oldest, once there are maxSamples
}

func (s *samples) add(d time.Duration) {
	d = max(d, 0) // the clock may have been set back
	if len(s.last) < maxSamples {
		s.last = append(s.last, d)
		return
	}
	s.last[s.next] = d
	s.next = (s.next + 1) % maxSamples
}

// quantiles computes the Quantiles of durations, and reorders these.
func quantiles(last []time.Duration) Quantiles {
	n := len(last)
	if n == 0 {
		return Quantiles{}
	}
	slices.Sort(last)
	rank := func(percent int) float64 { return last[(n*percent+99)/100-1].Seconds() }
	return Quantiles{P50: rank(50), P90: rank(90), P99: rank(99), Max: rank(100), Count: n}
}
