package handler

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what deliveries do, by target. The counts are read from each
// Delivery's Status at collection, so the two never disagree. A nil *Metrics
// counts nothing.
type Metrics struct {
	duration *prometheus.HistogramVec

	mu         sync.Mutex
	deliveries map[*Delivery]struct{}
}

var targetLabel = []string{"target"}

func targetDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("agentctl_target_events_"+name, help, targetLabel, nil)
}

var (
	deliveredDesc = targetDesc("delivered_total", "Events that the target took.")
	retriedDesc   = targetDesc("retried_total", "Attempts beyond the first of each event.")
	buriedDesc    = targetDesc("buried_total", "Events that the target refused for good.")
	lostDesc      = targetDesc("lost_total", "Events given up because too many waited for the target.")
	waitingDesc   = targetDesc("waiting", "Events neither delivered nor buried yet, with the one in flight.")
)

// NewMetrics registers the metrics. With a nil registerer it returns nil,
// which counts nothing. It panics when they are registered there already.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	if reg == nil {
		return nil
	}
	m := &Metrics{
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "agentctl_target_delivery_duration_seconds",
			Help: "From when this node first knew an event until the target took it. Replayed events count too.",
			// 0.5 ms to 35 min: a delivery takes a millisecond or an outage.
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 12),
		}, targetLabel),
		deliveries: make(map[*Delivery]struct{}),
	}
	reg.MustRegister(m)
	return m
}

// Describe is for prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	m.duration.Describe(ch)
	for _, desc := range []*prometheus.Desc{deliveredDesc, retriedDesc, buriedDesc, lostDesc, waitingDesc} {
		ch <- desc
	}
}

// Collect is for prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.duration.Collect(ch)
	m.mu.Lock()
	defer m.mu.Unlock()
	for d := range m.deliveries {
		s := d.Status()
		counter := func(desc *prometheus.Desc, v uint64) {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(v), s.Target)
		}
		counter(deliveredDesc, s.Delivered)
		counter(retriedDesc, s.Retried)
		counter(buriedDesc, s.Buried)
		counter(lostDesc, s.Lost)
		ch <- prometheus.MustNewConstMetric(waitingDesc, prometheus.GaugeValue, float64(s.Waiting), s.Target)
	}
}

// attach begins to count a delivery; detach ends it, and takes its series away.
func (m *Metrics) attach(d *Delivery) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deliveries[d] = struct{}{}
}

func (m *Metrics) detach(d *Delivery) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.deliveries, d)
	m.duration.DeleteLabelValues(d.cfg.Target.Name)
}

func (m *Metrics) observe(d *Delivery, took time.Duration) {
	if m == nil {
		return
	}
	m.duration.WithLabelValues(d.cfg.Target.Name).Observe(max(took, 0).Seconds())
}
