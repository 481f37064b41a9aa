package delivery

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts the work of Deliveries, by target. The counts are read from each
// Delivery's Status when they are collected, so the two never disagree. A nil *Metrics
// counts nothing. It is safe for concurrent use.
type Metrics struct {
	duration *prometheus.HistogramVec // of deliveries, by target
	attempts *prometheus.HistogramVec // by target and result

	mu         sync.Mutex
	deliveries map[*Delivery]struct{}
}

var targetLabel = []string{"target"}

func targetDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("agentctl_target_"+name, help, targetLabel, nil)
}

var (
	deliveredDesc = targetDesc("events_delivered_total", "Events that the target took.")
	retriedDesc   = targetDesc("events_retried_total", "Attempts beyond the first of each event.")
	buriedDesc    = targetDesc("events_buried_total", "Events that the target refused for good.")
	outdatedDesc  = targetDesc("events_outdated_total", "Member events not posted, as they were not true any more.")
	collapsedDesc = targetDesc("events_collapsed_total", "Events joined to an equal one that waited.")
	lostDesc      = targetDesc("events_lost_total", "Events that the agent gave up because too many waited or one waited too long, or that were lost before the node knew them.")
	expiredDesc   = targetDesc("events_expired_total", "Events that the agent gave up because they had waited too long. They count as lost, too.")
	waitingDesc   = targetDesc("events_waiting", "Events neither delivered nor buried yet, with those in flight.")
	inFlightDesc  = targetDesc("events_in_flight", "Events being posted, or held for their next attempt.")
	staleDesc     = targetDesc("stale", "1 while the target lacks events, or may lack some, and nothing has repaired that; else 0.")
	buriedNowDesc = targetDesc("buried_events", "Events that the target refused for good and that are kept for a replay.")
	stateDesc     = prometheus.NewDesc("agentctl_target_state",
		"1 for the state that the target is in (ok, refusing, retrying, flushing or stale), 0 for the others.", []string{"target", "state"}, nil)
	flushesDesc = prometheus.NewDesc("agentctl_target_flushes_total",
		"Flush requests, by result: success, retried (failed, and followed by another) or refused (for good).", []string{"target", "result"}, nil)
	oldestWaitingDesc = targetDesc("oldest_waiting_seconds", "How long ago the oldest waiting event was first known; 0 when none waits.")
)

// NewMetrics registers the metrics. With a nil registerer it returns nil, which counts
// nothing. It panics if they are registered there already.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	if reg == nil {
		return nil
	}
	m := &Metrics{
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "agentctl_target_delivery_duration_seconds",
			Help: "From when this node first knew an event, by gossip or otherwise, until the target took it. Replayed events count too.",
			// 0.5 ms to 35 min: a delivery takes a millisecond or an outage.
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 12),
		}, targetLabel),
		attempts: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "agentctl_target_attempt_duration_seconds",
			Help: "How long each attempt to post an event took, by result: success, retried (failed, to be tried again) or buried.",
			// 0.25 ms to 16 s; an attempt ends at its target's timeout.
			Buckets: prometheus.ExponentialBuckets(0.00025, 4, 9),
		}, []string{"target", "result"}),
		deliveries: make(map[*Delivery]struct{}),
	}
	reg.MustRegister(m)
	return m
}

// Describe is for prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	m.duration.Describe(ch)
	m.attempts.Describe(ch)
	for _, desc := range []*prometheus.Desc{
		deliveredDesc, retriedDesc, buriedDesc, outdatedDesc, collapsedDesc, lostDesc, expiredDesc, waitingDesc, inFlightDesc, oldestWaitingDesc, staleDesc, flushesDesc, buriedNowDesc, stateDesc,
	} {
		ch <- desc
	}
}

// Collect is for prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.duration.Collect(ch)
	m.attempts.Collect(ch)
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
		counter(outdatedDesc, s.Outdated)
		counter(collapsedDesc, s.Collapsed)
		counter(lostDesc, s.Lost)
		counter(expiredDesc, s.Expired)
		for result, n := range map[string]uint64{"success": s.Flushes, "retried": s.FlushesRetried, "refused": s.FlushesRefused} {
			ch <- prometheus.MustNewConstMetric(flushesDesc, prometheus.CounterValue, float64(n), s.Target, result)
		}
		gauge := func(desc *prometheus.Desc, v float64) {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, s.Target)
		}
		gauge(waitingDesc, float64(s.Waiting))
		gauge(inFlightDesc, float64(s.InFlight))
		oldest, stale := 0.0, 0.0
		if !s.OldestWaiting.IsZero() {
			oldest = max(time.Since(s.OldestWaiting), 0).Seconds()
		}
		gauge(oldestWaitingDesc, oldest)
		if !s.GapSince.IsZero() {
			stale = 1
		}
		gauge(staleDesc, stale)
		gauge(buriedNowDesc, float64(d.cursor.Status().Buried))
		for _, state := range []State{StateOK, StateRefusing, StateRetrying, StateFlushing, StateStale} {
			is := 0.0
			if s.State == state {
				is = 1
			}
			ch <- prometheus.MustNewConstMetric(stateDesc, prometheus.GaugeValue, is, s.Target, string(state))
		}
	}
}

// attach begins to count a Delivery. detach ends that, and removes its series.
func (m *Metrics) attach(d *Delivery) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deliveries[d] = struct{}{}
	// The series begin at 0, so that the first event is an increase.
	m.duration.WithLabelValues(d.cfg.Target.Name)
	for _, result := range []string{resultSuccess, resultRetried, resultBuried} {
		m.attempts.WithLabelValues(d.cfg.Target.Name, result)
	}
}

func (m *Metrics) detach(d *Delivery) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.deliveries, d)
	of := prometheus.Labels{"target": d.cfg.Target.Name}
	m.duration.Delete(of)
	m.attempts.DeletePartialMatch(of)
}

func (m *Metrics) observe(d *Delivery, took time.Duration) {
	if m == nil {
		return
	}
	m.duration.WithLabelValues(d.cfg.Target.Name).Observe(max(took, 0).Seconds())
}

// Values of the label result of attempts.
const (
	resultSuccess = "success"
	resultRetried = "retried"
	resultBuried  = "buried"
)

func (m *Metrics) attempted(d *Delivery, result string, took time.Duration) {
	if m == nil {
		return
	}
	m.attempts.WithLabelValues(d.cfg.Target.Name, result).Observe(took.Seconds())
}
