package peers

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"golang.org/x/time/rate"
)

// A peer asks all in one question, and again after ten seconds. All nodes of a large
// cluster together ask some five times a second, and each question names a few.
const (
	// answersEvery is how many questions are answered in a second, and mostAnswers at once.
	answersEvery = rate.Limit(50)
	// memberEvery and memberBurst are the same for the questions of one member.
	memberEvery, memberBurst = rate.Limit(1), 8
)

// Values of the label reason of questions without an answer.
const (
	refusedStranger = "stranger" // the answer would go to another address than its member's
	refusedRate     = "rate"
	refusedFull     = "full" // too many wait for their answer
)

func newRefused(reg prometheus.Registerer) *prometheus.CounterVec {
	c := promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "agentctl_peer_questions_refused_total",
		Help: "Questions for peers that were not answered, by reason.",
	}, []string{"reason"})
	for _, reason := range []string{refusedStranger, refusedRate, refusedFull} {
		c.WithLabelValues(reason)
	}
	return c
}

// mayAnswer tells whether a question is answered. Whoever sends one chooses whose name is
// in it, where the answer goes, and how many members relay it. So only a member is
// answered, at its own address, and not too often.
func (p *Peers) mayAnswer(name string, q *serf.Query) bool {
	p.mu.Lock()
	a, reason := p.entry(name, false), ""
	switch to, relayed := p.replyTo(name, q); {
	case a == nil || relayed || to != p.members[name]:
		reason = refusedStranger
	default:
		if a.answers == nil {
			a.answers = rate.NewLimiter(memberEvery, memberBurst)
		}
		if !a.answers.Allow() || !p.answers.Allow() {
			reason = refusedRate
		}
	}
	p.mu.Unlock()
	if reason != "" {
		p.refuse(name, reason)
	}
	return reason == ""
}

// replyTo is where an answer goes. p.mu is held.
func (p *Peers) replyTo(name string, q *serf.Query) (to netip.AddrPort, relayed bool) {
	if p.cfg.ReplyTo == nil {
		return p.members[name], false
	}
	return p.cfg.ReplyTo(q)
}

func (p *Peers) refuse(name, reason string) {
	p.refused.WithLabelValues(reason).Inc()
	p.sampled.Log(slog.LevelWarn, "a question for peers is not answered", time.Second, "node", name, "reason", reason)
}
