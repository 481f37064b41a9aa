package logs

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// sampledMost is how long the intervals of a Sampled grow.
const sampledMost = time.Minute

// sampledKinds is how many kinds of message a Sampled tells apart, far more than any
// part of the program has. All further ones count as one kind.
const sampledKinds = 64

// Kind is a message of a Sampled, without what differs from one line to the next.
// It is a constant: names, addresses and errors belong into the attributes, since
// a Sampled remembers each kind. The compiler takes no text that is made at run
// time for one.
type Kind string

// Sampled is a log that says each message at most once in an interval, whatever
// clients do: a log line can be an event for a monitor, and a flood of clients
// shall not become a flood of lines. While the message comes again soon, the
// interval doubles, up to a minute. The next line counts those that were left
// out. As serf, a line that stock serf writes each time is written each time. Nth samples lines by their number instead, and needs no Logger. A Sampled
// is safe for concurrent use once Logger is set.
type Sampled struct {
	Logger *slog.Logger

	mu   sync.Mutex
	said map[Kind]*saying // sampledKinds at most, and one for all others
	rows map[Kind]row     // of Nth, likewise
}

type saying struct {
	last    time.Time
	every   time.Duration // until the next line
	skipped int
}

// Log logs msg with args, unless msg was logged less than an interval ago, which
// begins as every. It reports whether it did.
func (q *Sampled) Log(level slog.Level, msg Kind, every time.Duration, args ...any) bool {
	if w, ok := asSerf(q.Logger, string(msg)); ok && w.each {
		q.Logger.Log(context.Background(), level, string(msg), args...)
		return true
	}
	q.mu.Lock()
	s := q.saying(msg, every)
	now := time.Now()
	if !s.last.IsZero() && now.Sub(s.last) < s.every {
		s.skipped++
		q.mu.Unlock()
		return false
	}
	if s.skipped > 0 {
		args = append(args, "lines_left_out", s.skipped)
	}
	switch ago := now.Sub(s.last); {
	case s.last.IsZero():
	case ago < 2*s.every:
		s.every = max(every, min(2*s.every, sampledMost))
	default: // it was over meanwhile
		s.every = every
	}
	s.last, s.skipped = now, 0
	q.mu.Unlock()
	q.Logger.Log(context.Background(), level, string(msg), args...)
	return true
}

// saying finds or makes what is known of a kind. q.mu is held.
func (q *Sampled) saying(msg Kind, every time.Duration) *saying {
	if q.said[msg] == nil && len(q.said) >= sampledKinds {
		msg = ""
	}
	s := q.said[msg]
	if s == nil {
		if q.said == nil {
			q.said = make(map[Kind]*saying)
		}
		s = &saying{every: every}
		q.said[msg] = s
	}
	return s
}
