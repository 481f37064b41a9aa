package rpc

import (
	serfmetrics "github.com/hashicorp/go-metrics"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"agentctl/agent/tally"
)

// Values of the label reason.
const (
	rejectClients   = "too_many_clients"
	rejectWaiting   = "waiting_client"
	rejectHandshake = "no_handshake"
	rejectAuth      = "auth"
	rejectCommand   = "unsupported_command"
	rejectLimit     = "limit"
	rejectMalformed = "malformed"
	rejectTimeout   = "timeout"
	rejectSlow      = "slow_reader"
)

// Values of the label kind.
const (
	kindEvent = "event"
	kindLog   = "log"
	kindQuery = "query"
)

type metrics struct {
	clients  prometheus.Gauge
	requests *prometheus.CounterVec
	dropped  *prometheus.CounterVec
	rejected *prometheus.CounterVec
	commands *tally.Tally
}

// For statsd and statsite, under the names that stock serf's server counts by.
func countAccept() { serfmetrics.IncrCounter([]string{"agent", "ipc", "accept"}, 1) }
func countCommands(_ string, n float32) {
	serfmetrics.IncrCounter([]string{"agent", "ipc", "command"}, n)
}

// newMetrics registers with reg; a nil reg leaves them unregistered.
func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		clients: f.NewGauge(prometheus.GaugeOpts{
			Name: "agentctl_rpc_clients",
			Help: "RPC clients connected.",
		}),
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "agentctl_rpc_requests_total",
			Help: "RPC requests, by command.",
		}, []string{"command"}),
		dropped: f.NewCounterVec(prometheus.CounterOpts{
			Name: "agentctl_rpc_stream_dropped_total",
			Help: "Records dropped because an RPC client read its stream too slowly, by kind.",
		}, []string{"kind"}),
		commands: tally.New(countCommands),
		rejected: f.NewCounterVec(prometheus.CounterOpts{
			Name: "agentctl_rpc_rejected_total",
			Help: "RPC clients and requests refused, by reason.",
		}, []string{"reason"}),
	}
	// There from the beginning, so that an increase from 0 is one.
	for _, kind := range []string{kindEvent, kindLog, kindQuery} {
		m.dropped.WithLabelValues(kind)
	}
	for _, reason := range []string{rejectClients, rejectWaiting, rejectHandshake, rejectAuth, rejectCommand, rejectLimit, rejectMalformed, rejectTimeout, rejectSlow} {
		m.rejected.WithLabelValues(reason)
	}
	return m
}
