package large

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Values of the label result of events.
const (
	resultPublished = "published" // here
	resultFetched   = "fetched"
	resultArrived   = "arrived" // by another way, while it was waited for
	resultLost      = "lost"
	resultRefused   = "refused" // no reference, or not the event of its reference
)

// Values of the label result of questions.
const (
	askedHeld   = "held"
	askedAbsent = "absent"
	askedWrong  = "wrong" // another payload than the one asked for
	askedFailed = "failed"
)

type metrics struct {
	events   *prometheus.CounterVec
	asked    *prometheus.CounterVec
	requests *prometheus.CounterVec
	in, out  prometheus.Counter
}

// newMetrics registers with reg; a nil reg leaves them unregistered. waiting
// counts what is waited for.
func newMetrics(reg prometheus.Registerer, waiting func() float64) *metrics {
	f := promauto.With(reg)
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "agentctl_large_waiting",
		Help: "Events of which only the reference has come so far.",
	}, waiting)
	bytes := f.NewCounterVec(prometheus.CounterOpts{
		Name: "agentctl_large_bytes_total",
		Help: "Bytes of events that were fetched from others, and that others fetched here.",
	}, []string{"direction"})
	return &metrics{
		events: f.NewCounterVec(prometheus.CounterOpts{
			Name: "agentctl_large_events_total",
			Help: "Events that go by reference: published here, fetched, arrived by another way meanwhile, lost, and refused references.",
		}, []string{"result"}),
		asked: f.NewCounterVec(prometheus.CounterOpts{
			Name: "agentctl_large_fetches_total",
			Help: "Requests to other agents for events that go by reference, by result.",
		}, []string{"result"}),
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "agentctl_large_requests_total",
			Help: "Questions of others, by result.",
		}, []string{"result"}),
		in:  bytes.WithLabelValues("in"),
		out: bytes.WithLabelValues("out"),
	}
}
