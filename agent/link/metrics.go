package link

import (
	"errors"
	"io"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"agentctl/agent/logs"
)

// Values of the label reason of refused streams.
const (
	rejectUnseen    = "unseen" // passed to memberlist, its first byte unknown
	rejectStrangers = "too_many"
	rejectMalformed = "malformed"
	rejectTimeout   = "timeout"
	rejectGone      = "gone"
	rejectUnproved  = "unproved"
	rejectVersion   = "version"
	rejectNoKey     = "no_key"
	rejectNoKeyring = "no_keyring"
	rejectWrongKey  = "wrong_key"
)

// refusals are the log lines of the reasons. Each has its own interval, so that
// one stranger's kind of failure does not hide another's.
var refusals = map[string]logs.Kind{
	rejectUnseen:    "link: stream refused: " + rejectUnseen,
	rejectStrangers: "link: stream refused: " + rejectStrangers,
	rejectMalformed: "link: stream refused: " + rejectMalformed,
	rejectTimeout:   "link: stream refused: " + rejectTimeout,
	rejectGone:      "link: stream refused: " + rejectGone,
	rejectUnproved:  "link: stream refused: " + rejectUnproved,
	rejectVersion:   "link: stream refused: " + rejectVersion,
	rejectNoKey:     "link: stream refused: " + rejectNoKey,
	rejectNoKeyring: "link: stream refused: " + rejectNoKeyring,
	rejectWrongKey:  "link: stream refused: " + rejectWrongKey,
}

// Values of the label reason of dropped messages.
const (
	dropFull       = "queue_full"
	dropNotPeer    = "not_a_peer"
	dropTooLong    = "too_long"
	dropForgotten  = "forgotten"
	dropNotRunning = "not_running"
)

// Values of the label reason of links that were closed here.
const (
	closeStreams = "streams" // too many
	closeMemory  = "memory"  // too much
	closeCount   = "links"   // too many
	closeBroken  = "broken"  // its stream of events breaks the protocol
	closeDamaged = "damaged" // what came does not have its checksum
	closeSilent  = "silent"  // its side seems to be gone
)

type metrics struct {
	closed                                      *prometheus.CounterVec
	dials                                       *prometheus.CounterVec
	rejected                                    *prometheus.CounterVec
	queued, acknowledged, delivered, duplicates prometheus.Counter
	dropped                                     *prometheus.CounterVec
	requests                                    *prometheus.CounterVec
}

// newMetrics registers with reg; a nil reg leaves them unregistered. The
// functions count the links that are open now.
func newMetrics(reg prometheus.Registerer, opened, accepted func() float64) *metrics {
	f := promauto.With(reg)
	for direction, count := range map[string]func() float64{"out": opened, "in": accepted} {
		f.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "agentctl_link_open",
			Help:        "Links to other agents that are open, by who opened them.",
			ConstLabels: prometheus.Labels{"direction": direction},
		}, count)
	}
	messages := f.NewCounterVec(prometheus.CounterOpts{
		Name: "agentctl_link_messages_total",
		Help: "Messages on links: queued, acknowledged, delivered here, and duplicates not delivered.",
	}, []string{"what"})
	m := &metrics{
		closed: f.NewCounterVec(prometheus.CounterOpts{
			Name: "agentctl_link_closed_total",
			Help: "Links that were closed here over a limit, for what came on them or since nothing came, by reason.",
		}, []string{"reason"}),
		dials: f.NewCounterVec(prometheus.CounterOpts{
			Name: "agentctl_link_dials_total",
			Help: "Attempts to open a link, by result.",
		}, []string{"result"}),
		rejected: f.NewCounterVec(prometheus.CounterOpts{
			Name: "agentctl_link_rejected_total",
			Help: "Streams that did not become links, by reason.",
		}, []string{"reason"}),
		queued:       messages.WithLabelValues("queued"),
		acknowledged: messages.WithLabelValues("acknowledged"),
		delivered:    messages.WithLabelValues("delivered"),
		duplicates:   messages.WithLabelValues("duplicate"),
		dropped: f.NewCounterVec(prometheus.CounterOpts{
			Name: "agentctl_link_dropped_total",
			Help: "Messages to other agents that were dropped, by reason.",
		}, []string{"reason"}),
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "agentctl_link_requests_total",
			Help: "Requests of other agents, by result.",
		}, []string{"result"}),
	}
	// There from the beginning, so that an increase from 0 is one.
	for _, reason := range []string{dropFull, dropNotPeer, dropTooLong, dropForgotten, dropNotRunning} {
		m.dropped.WithLabelValues(reason)
	}
	for _, reason := range []string{closeStreams, closeMemory, closeCount, closeBroken, closeDamaged, closeSilent} {
		m.closed.WithLabelValues(reason)
	}
	return m
}

// rejectReason classifies why a stranger's handshake failed.
func rejectReason(err error) string {
	if r, ok := errors.AsType[*refusal](err); ok {
		switch r.verdict {
		case verdictVersion:
			return rejectVersion
		case verdictNeedsKey:
			return rejectNoKey
		case verdictNoKeyring:
			return rejectNoKeyring
		case verdictWrongKey:
			return rejectWrongKey
		}
	}
	switch {
	case errors.Is(err, errUnproved):
		return rejectUnproved
	case errors.Is(err, errProtocol), errors.Is(err, errDamaged):
		return rejectMalformed
	case errors.Is(err, os.ErrDeadlineExceeded):
		return rejectTimeout
	case errors.Is(err, io.ErrUnexpectedEOF):
		return rejectMalformed
	}
	return rejectGone
}
