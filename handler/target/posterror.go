package target

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"agentctl/handler/text"
)

// Class says what to do with an event after an attempt that failed.
type Class int

const (
	// Retry means that the target may take the event later. There was no
	// connection, no answer in time, or an answer of 408, 425, 429 or 5xx.
	Retry Class = iota
	// Bury means that the target would refuse the same event again. The answer
	// was 1xx, 3xx, any other 4xx, or a status that HTTP does not know; or the
	// event does not fit the target's templates.
	Bury
)

func (c Class) String() string {
	if c == Bury {
		return "bury"
	}
	return "retry"
}

// maxRetryAfter is how long a Retry-After header can hold an event back. Longer
// times are cut to it.
const maxRetryAfter = 5 * time.Minute

// PostError is an attempt that failed.
type PostError struct {
	Class      Class
	Status     int           // of the answer; 0 when there was none
	RetryAfter time.Duration // the answer asked for this wait, cut to 5 minutes; else 0
	Body       []byte        // the first 4 KiB of the answer
	Location   string        // where a redirect, an answer of 3xx, led; else ""
	Err        error         // why there was no answer; nil when there was
	At         Address       // where the attempt connected to; zero if it was not sent
}

// Error is one line, with a redirect's Location and the first 200 bytes of the answer,
// both escaped and without a password, and the Location without its query.
func (e *PostError) Error() string {
	if e.Err != nil {
		return e.Err.Error()
	}
	s := "answered " + strconv.Itoa(e.Status)
	if text := http.StatusText(e.Status); text != "" {
		s += " " + text
	}
	if e.Location != "" {
		s += ", a redirect to " + text.Excerpt(e.Location, text.ExcerptSize) + ", which is not followed"
	}
	if len(e.Body) > 0 {
		s += ": " + text.Excerpt(string(e.Body), text.ExcerptSize)
	}
	return s
}

func (e *PostError) Unwrap() error { return e.Err }

// shownLocation is where a redirect leads, without what may be a secret: a password, and
// a query or fragment.
func shownLocation(location string) string {
	if i := strings.IndexAny(location, "?#"); i >= 0 {
		location = location[:i+1] + "..."
	}
	return text.Redact(location)
}

// inWords says of a failed attempt what happened, for somebody who does not know sockets.
func inWords(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("connection closed before an answer came: %w", err)
	case errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("connection reset before an answer came: %w", syscall.ECONNRESET)
	case errors.Is(err, syscall.EPIPE):
		return fmt.Errorf("connection closed while the request was sent: %w", syscall.EPIPE)
	}
	return err
}

// Refused tells whether nobody listens at the target: it refuses connections, its
// unix socket is not there, its name does not resolve, or no way leads to its machine.
func (e *PostError) Refused() bool {
	if _, unnamed := errors.AsType[*net.DNSError](e.Err); unnamed {
		return true
	}
	for _, down := range []error{syscall.ECONNREFUSED, fs.ErrNotExist, syscall.EHOSTUNREACH, syscall.ENETUNREACH} {
		if errors.Is(e.Err, down) {
			return true
		}
	}
	return false
}

// AsPostError returns the *PostError in an error. It makes one of the class Retry
// if there is none.
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

// retryAfter reads a Retry-After header: seconds or a date. It returns 0 for a
// date in the past and for all that it cannot read.
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
