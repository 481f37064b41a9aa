package repair

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Values of the label result of comparisons.
const (
	resultSame     = "same"     // nothing was lacking
	resultRepaired = "repaired" // and fetched
	resultDoubt    = "doubt"    // the peer let go of what was not compared
	resultFailed   = "failed"   // the peer did not answer, or not to the end
	resultRefused  = "refused"  // the peer said what cannot be
)

type metrics struct {
	compared *prometheus.CounterVec
	events   prometheus.Counter
	gaps     prometheus.Counter
	waiting  prometheus.Gauge
	sent     prometheus.Counter
	received prometheus.Counter
	requests *prometheus.CounterVec
}

// newMetrics registers with reg; a nil reg leaves them unregistered.
func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	bytes := f.NewCounterVec(prometheus.CounterOpts{
		Name: "agentctl_repair_bytes_total",
		Help: "Bytes of requests and answers, both of this node's and of others' comparisons.",
	}, []string{"direction"})
	m := &metrics{
		compared: f.NewCounterVec(prometheus.CounterOpts{
			Name: "agentctl_repair_comparisons_total",
			Help: "Comparisons with a peer's journal, by result.",
		}, []string{"result"}),
		events: f.NewCounter(prometheus.CounterOpts{
			Name: "agentctl_repair_events_total",
			Help: "Events that were lacking here and came from a peer's journal.",
		}),
		gaps: f.NewCounter(prometheus.CounterOpts{
			Name: "agentctl_repair_gaps_total",
			Help: "Times that this node may lack events and no peer has them any more, so that it flushes its targets.",
		}),
		waiting: f.NewGauge(prometheus.GaugeOpts{
			Name: "agentctl_repair_gap_waiting",
			Help: "1 while a flush is due later, since the peers that it is for had caused others before; else 0.",
		}),
		sent:     bytes.WithLabelValues("out"),
		received: bytes.WithLabelValues("in"),
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "agentctl_repair_requests_total",
			Help: "Requests of peers, by result.",
		}, []string{"result"}),
	}
	// There from the beginning, so that an increase from 0 is one.
	for _, result := range []string{resultSame, resultRepaired, resultDoubt, resultFailed, resultRefused} {
		m.compared.WithLabelValues(result)
	}
	return m
}
