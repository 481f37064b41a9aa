package agent

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent/logs"
)

// oversizedEvery is how often, at first, it is logged that something was refused which
// memory would grow by.
const oversizedEvery = 10 * time.Second

// oversized counts and logs what is refused because memory would grow by it.
func oversized(reg prometheus.Registerer, logger *slog.Logger) func(what string, err error) {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "agentctl_gossip_oversized_total",
		Help: "Packets, streams and messages refused because memory would grow by more than a member sends.",
	}, []string{"what"})
	reg.MustRegister(refused)
	for _, what := range []string{"packet", "stream", "message"} {
		refused.WithLabelValues(what)
	}
	sampled := &logs.Sampled{Logger: logger}
	return func(what string, err error) {
		refused.WithLabelValues(what).Inc()
		sampled.Log(slog.LevelWarn, "gossip was refused: it would take more memory than what a member sends", oversizedEvery, "what", what, "error", err)
	}
}
