package target

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"agentctl/handler/text"
)

// Class says what to do with an event after an attempt that failed.
type Class int

const (
	// Retry: the event may be taken later. No connection, no answer in time,
	// an answer of 408, 425, 429 or 5xx.
	Retry Class = iota
	// Bury: the same event would be refused again. An answer of 1xx, 3xx, any
	// other 4xx, or a status that HTTP does not know.
	Bury
)

func (c Class) String() string {
	if c == Bury {
		return "bury"
	}
	return "retry"
}

// MaxRetryAfter is how long a Retry-After header can hold an event back;
// longer ones are cut to it.
const maxRetryAfter = 5 * time.Minute

// PostError is an attempt that failed.
type PostError struct {
	Class      Class
	Status     int           // of the answer; 0 when there was none
	RetryAfter time.Duration // what the answer asked for, at most MaxRetryAfter; else 0
	Body       []byte        // the first 4 KiB of the answer
	Err        error         // why there was no answer; nil when there was
}

// Error is one line; bytes of the answer are escaped, and few.
func (e *PostError) Error() string {
	if e.Err != nil {
		return e.Err.Error()
	}
	s := "answered " + strconv.Itoa(e.Status)
	if text := http.StatusText(e.Status); text != "" {
		s += " " + text
	}
	if len(e.Body) > 0 {
		s += ": " + text.Excerpt(string(e.Body), text.ExcerptSize)
	}
	return s
}

func (e *PostError) Unwrap() error { return e.Err }

func AsPostError(err error) *PostError {
	if perr, ok := errors.AsType[*PostError](err); ok {
		return perr
	}
	return &PostError{Err: err}
}

// timeoutError is an attempt that took longer than the target's Timeout.
type timeoutError struct{ after time.Duration }

func (e *timeoutError) Error() string { return fmt.Sprintf("no answer within %v", e.after) }

func (e *timeoutError) Unwrap() error { return context.DeadlineExceeded }

// retryAfter reads a Retry-After header: seconds or a date. What it cannot
// read, and the past, is 0.
func retryAfter(v string, now time.Time) time.Duration {
	v = strings.TrimSpace(v)
	if seconds, err := strconv.ParseUint(v, 10, 64); err == nil {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return min(max(t.Sub(now), 0), maxRetryAfter)
	}
	return 0
}
