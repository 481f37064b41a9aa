package agent

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent/logs"
)

// farEvery is how often, at first, a message with a Lamport time that cannot be is
// logged. Whoever reaches the gossip port can send very many of them.
const farEvery = 10 * time.Second

// farTimes counts and logs what is refused for its Lamport time.
type farTimes struct {
	refused *prometheus.CounterVec
	sampled logs.Sampled
}

func newFarTimes(reg prometheus.Registerer, logger *slog.Logger) *farTimes {
	f := &farTimes{
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "agentctl_lamport_refused_total",
			Help: "Messages and events refused because no cluster can have counted up to their Lamport time, by the way they came.",
		}, []string{"way"}),
		sampled: logs.Sampled{Logger: logger},
	}
	reg.MustRegister(f.refused)
	for _, way := range []string{"gossip", "link", "repair"} {
		f.refused.WithLabelValues(way)
	}
	return f
}

// by returns what is told of each refusal on a way.
func (f *farTimes) by(way string) func(ltime uint64) {
	return func(ltime uint64) {
		f.refused.WithLabelValues(way).Inc()
		f.sampled.Log(slog.LevelWarn, "a message was refused: no cluster counts up to its Lamport time, so somebody made it up", farEvery,
			"ltime", ltime, "way", way)
	}
}
