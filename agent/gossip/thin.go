package gossip

import (
	"fmt"
	"io"
	"log"
	"strings"
	"sync"
	"time"
)

// Memberlist says in this form, and in no other, that its packets to a member failed
// while a stream got through. It does so with each probe, every few seconds.
const (
	udpFailedStart = "memberlist: Was able to connect to "
	udpFailedEnd   = " over TCP but UDP probes failed"
)

// resolveFailed is in memberlist's line about a name that a join could not look up. It
// comes with each try of the join, whose own line says the same.
const resolveFailed = "memberlist: failed to resolve "

// thinInterval is the least time between two lines of one of these kinds in the log.
const thinInterval = time.Minute

// Thin returns a logger for memberlist that writes one line a minute of each kind that
// memberlist repeats without end: that packets to a member failed while a stream got
// through, and that a name does not resolve. It adds the number of lines that it left
// out. Each member of a line of the first kind is told to failed, which must not block.
func Thin(logger *log.Logger, failed func(name string)) *log.Logger {
	return log.New(&thinWriter{out: logger.Writer(), failed: failed}, logger.Prefix(), logger.Flags())
}

type thinWriter struct {
	out    io.Writer
	failed func(name string)

	mu           sync.Mutex
	udp, resolve thinned
}

// thinned is what is known of a kind of lines.
type thinned struct {
	written time.Time // when the last such line was
	left    int       // lines left out since
}

func (w *thinWriter) Write(line []byte) (int, error) {
	kind := &w.resolve
	if name, ok := udpFailed(string(line)); ok {
		w.failed(name)
		kind = &w.udp
	} else if !strings.Contains(string(line), resolveFailed) {
		return w.out.Write(line)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if !kind.written.IsZero() && now.Sub(kind.written) < thinInterval {
		kind.left++
		return len(line), nil
	}
	note := ""
	if kind.left > 0 {
		note = fmt.Sprintf(" (and %d such lines left out)", kind.left)
	}
	*kind = thinned{written: now}
	if _, err := fmt.Fprintf(w.out, "%s%s\n", strings.TrimSuffix(string(line), "\n"), note); err != nil {
		return 0, err
	}
	return len(line), nil
}

// udpFailed is the member to which packets failed, if a line of the log tells of one.
func udpFailed(line string) (name string, ok bool) {
	_, rest, ok := strings.Cut(line, udpFailedStart)
	end := strings.LastIndex(rest, udpFailedEnd)
	if !ok || end < 0 {
		return "", false
	}
	return rest[:end], true
}
