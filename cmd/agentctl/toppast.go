package main

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"agentctl/agent/api"
)

// maxPast is how many reports are remembered, for the bars.
const maxPast = 100

// rowKey is a node, one of its targets, or the whole cluster, which has no name.
type rowKey struct{ node, target string }

// series is what is remembered of one of them. What is not known is NaN.
type series struct {
	delivered uint64    // by a target, in all
	rates     []float64 // deliveries in a second
	p99       []float64 // seconds
}

// past is what the reports have said of all that is in the last one.
type past struct {
	at  time.Time // of the last one
	all map[rowKey]*series
}

// add notes a report.
func (p *past) add(r *api.ClusterReport) {
	before, took := p.all, r.Time.Sub(p.at).Seconds()
	p.all, p.at = map[rowKey]*series{}, r.Time
	note := func(key rowKey, rate, p99 float64) *series {
		s := before[key]
		if s == nil {
			s = &series{}
		}
		s.rates, s.p99 = pushed(s.rates, rate), pushed(s.p99, p99)
		p.all[key] = s
		return s
	}
	all, slowest := math.NaN(), math.NaN()
	for i := range r.Members {
		m := &r.Members[i]
		rates, slow := math.NaN(), math.NaN()
		if m.Says != nil {
			for _, t := range m.Says.Targets {
				key, rate, p99 := rowKey{m.Node, t.Target}, math.NaN(), math.NaN()
				if was := before[key]; was != nil && took > 0 && t.Delivered >= was.delivered { // else it began anew
					rate = float64(t.Delivered-was.delivered) / took
				}
				if t.P99 > 0 {
					p99 = t.P99
				}
				note(key, rate, p99).delivered = t.Delivered
				rates, slow = plus(rates, rate), larger(slow, p99)
			}
		}
		note(rowKey{node: m.Node}, rates, slow)
		all, slowest = plus(all, rates), larger(slowest, slow)
	}
	note(rowKey{}, all, slowest)
}

func plus(a, b float64) float64 {
	switch {
	case math.IsNaN(a):
		return b
	case math.IsNaN(b):
		return a
	}
	return a + b
}

func larger(a, b float64) float64 {
	if math.IsNaN(a) || b > a {
		return b
	}
	return a
}

func pushed(values []float64, v float64) []float64 {
	if len(values) == maxPast {
		values = slices.Delete(values, 0, 1)
	}
	return append(values, v)
}

// of is what is remembered; nothing of what is not there.
func (p *past) of(key rowKey) series {
	if s := p.all[key]; s != nil {
		return *s
	}
	return series{}
}

func last(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	return values[len(values)-1]
}

// bars draws the newest values, the greatest of them as a full bar. It takes so many columns;
// what is not known is a space.
func bars(values []float64, width int) string {
	const levels = "▁▂▃▄▅▆▇█"
	values = values[max(len(values)-width, 0):]
	most := 0.0
	for _, v := range values {
		most = larger(most, v)
	}
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", width-len(values)))
	for _, v := range values {
		level := 0
		switch {
		case math.IsNaN(v):
			b.WriteByte(' ')
			continue
		case most > 0:
			level = int(math.Ceil(v / most * 7))
		}
		b.WriteString(string([]rune(levels)[level]))
	}
	return b.String()
}

// perSecond is a rate.
func perSecond(v float64) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case v == 0 || v >= 10:
		return strconv.FormatFloat(v, 'f', 0, 64) + "/s"
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + "/s"
}

// latency is a P99.
func latency(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return seconds(&api.Quantiles{Count: 1}, v)
}
