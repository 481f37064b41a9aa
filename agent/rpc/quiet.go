package rpc

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// quiet is a log that says each message at most once in an interval, whatever
// clients do: a log line can be an event for a monitor, and a flood of clients
// shall not become a flood of lines. What was left out is counted in the next
// line. It is safe for concurrent use.
type quiet struct {
	log  *slog.Logger
	mu   sync.Mutex
	said map[string]*saying // by message: a handful, all of them constants
}

type saying struct {
	last    time.Time
	skipped int
}

// Log logs msg with args, unless msg was logged less than every ago. It
// reports whether it did.
func (q *quiet) Log(level slog.Level, msg string, every time.Duration, args ...any) bool {
	q.mu.Lock()
	s := q.said[msg]
	if s == nil {
		if q.said == nil {
			q.said = make(map[string]*saying)
		}
		s = &saying{}
		q.said[msg] = s
	}
	now := time.Now()
	if !s.last.IsZero() && now.Sub(s.last) < every {
		s.skipped++
		q.mu.Unlock()
		return false
	}
	if s.skipped > 0 {
		args = append(args, "lines_left_out", s.skipped)
	}
	s.last, s.skipped = now, 0
	q.mu.Unlock()
	q.log.Log(context.Background(), level, msg, args...)
	return true
}
