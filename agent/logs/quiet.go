package logs

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// quietMost is how long the intervals of a Quiet grow.
const quietMost = time.Minute

// quietKinds is how many kinds of message a Quiet tells apart, far more than any
// part of the program has. All further ones count as one kind.
const quietKinds = 64

// Kind is a message of a Quiet, without what differs from one line to the next.
// It is a constant: names, addresses and errors belong into the attributes, since
// a Quiet remembers each kind. The compiler takes no text that is made at run
// time for one.
type Kind string

// Quiet is a log that says each message at most once in an interval, whatever
// clients do: a log line can be an event for a monitor, and a flood of clients
// shall not become a flood of lines. While the message comes again soon, the
// interval doubles, up to a minute. What was left out is counted in the next line. It is
// safe for concurrent use once Logger is set.
type Quiet struct {
	Logger *slog.Logger

	mu   sync.Mutex
	said map[Kind]*saying // quietKinds at most, and one for all others
}

type saying struct {
	last    time.Time
	every   time.Duration // until the next line
	skipped int
}

// Log logs msg with args, unless msg was logged less than an interval ago, which
// begins as every. It reports whether it did.
func (q *Quiet) Log(level slog.Level, msg Kind, every time.Duration, args ...any) bool {
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
		s.every = max(every, min(2*s.every, quietMost))
	default: // it was over meanwhile
		s.every = every
	}
	s.last, s.skipped = now, 0
	q.mu.Unlock()
	q.Logger.Log(context.Background(), level, string(msg), args...)
	return true
}

// saying finds or makes what is known of a kind. q.mu is held.
func (q *Quiet) saying(msg Kind, every time.Duration) *saying {
	if q.said[msg] == nil && len(q.said) >= quietKinds {
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
