package logs

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// quietMost is how long the intervals of a Sampled grow.
const quietMost = time.Minute

// Sampled is a log that says each message at most once in an interval, whatever
// clients do: a log line can be an event for a monitor, and a flood of clients
// shall not become a flood of lines. While the message comes again soon, the
// interval doubles, up to a minute. What was left out is counted in the next line. Nth
// samples lines by their number instead, and needs no Logger. It is safe for
// concurrent use once Logger is set.
type Sampled struct {
	Logger *slog.Logger

	mu   sync.Mutex
	said map[string]*saying // by message: a handful, all of them constants
	rows map[string]row     // of Nth, likewise by kind
}

type saying struct {
	last    time.Time
	every   time.Duration // until the next line
	skipped int
}

// Log logs msg with args, unless msg was logged less than an interval ago, which
// begins as every. It reports whether it did.
func (q *Sampled) Log(level slog.Level, msg string, every time.Duration, args ...any) bool {
	q.mu.Lock()
	s := q.said[msg]
	if s == nil {
		if q.said == nil {
			q.said = make(map[string]*saying)
		}
		s = &saying{every: every}
		q.said[msg] = s
	}
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
	q.Logger.Log(context.Background(), level, msg, args...)
	return true
}
