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

// udpFailedInterval is the least time between two such lines in the log.
const udpFailedInterval = time.Minute

// UDPFailed returns a logger that tells of the members to which memberlist's packets
// failed while a stream got through. It writes one line a minute about that, with the
// number of lines that it left out. The function must not block.
func UDPFailed(logger *log.Logger, failed func(name string)) *log.Logger {
	return log.New(&udpFailedWriter{out: logger.Writer(), failed: failed}, logger.Prefix(), logger.Flags())
}

type udpFailedWriter struct {
	out    io.Writer
	failed func(name string)

	mu      sync.Mutex
	written time.Time // when the last such line was
	left    int       // lines left out since
}

func (w *udpFailedWriter) Write(line []byte) (int, error) {
	name, ok := udpFailed(string(line))
	if !ok {
		return w.out.Write(line)
	}
	w.failed(name)
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if !w.written.IsZero() && now.Sub(w.written) < udpFailedInterval {
		w.left++
		return len(line), nil
	}
	note := ""
	if w.left > 0 {
		note = fmt.Sprintf(" (and %d such lines left out)", w.left)
	}
	w.written, w.left = now, 0
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
