package gossip

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"slices"
	"sync"
	"time"
)

// strangerLines begin the lines in which memberlist and serf complain of what somebody
// sent. Whoever reaches the port can cause them as fast as packets come, so each is a
// kind of which the log gets only some. A test compares them with the libraries' source.
var strangerLines = []string{
	"memberlist: cannot decode label", "memberlist: label header cannot be empty",
	"memberlist: failed to receive", "memberlist: unexpected double ", "memberlist: discarding ",
	"memberlist: Failed to encode ", "memberlist: Failed to send ", "memberlist: Failed to receive user message",
	"memberlist: Too many pending push/pull requests", "memberlist: Failed to read remote state",
	"memberlist: Failed to push local state", "memberlist: Failed push/pull merge", "memberlist: Failed to decode ",
	"memberlist: Got ping for unexpected node", "memberlist: Received invalid msgType", "memberlist: Decrypt packet failed",
	"memberlist: Got invalid checksum", "memberlist: missing message type byte", "memberlist: handler queue full, dropping message (",
	"memberlist: msg type (", "memberlist: Message type (", "memberlist: Compound request had ", "memberlist: Failed to forward ack",
	"memberlist: Failed to decompress payload", "memberlist: Remote node state size is ", "memberlist: UDP packet too short",
	"memberlist: Ignoring an alive message", "memberlist: ignoring alive message", "memberlist: Rejected ",
	"memberlist: Conflicting address for ", "memberlist: Refuting ",
	"serf: Error decoding ", "serf: Error forwarding message to ", "serf: Received message of unknown type",
	"serf: Remote state ", "serf: Failed to decode ", "serf: Unsupported ping version", "serf: received old ",
	"serf: reply for non-running query", "serf: query reply ID mismatch", "serf: Name conflict for ", "serf: Node name conflicts ",
	"serf: Unhandled internal query ", "serf: Invalid key request payload", "serf: No keyring to modify ", "serf: Keyring is empty ",
}

// memberLines begin the lines that tell how members change. Whoever can forge what members
// say can cause them, but so does an honest cluster: the log gets more of them.
var memberLines = []string{
	"serf: EventMemberJoin", "serf: EventMemberUpdate", "serf: EventMemberLeave", "serf: EventMemberFailed", "serf: EventMemberReap",
	"serf: majority in name conflict resolution", "memberlist: Marking ",
}

const (
	// strangersInterval is the time in which the log gets so many lines of a kind.
	strangersInterval = time.Minute
	// strangersMost is how many lines of a kind the log gets in the interval. As serf it
	// gets strangersAsSerf: members with another key or version cause a few a second.
	strangersMost, strangersAsSerf = 10, 600
	// membersMost is the same for the changes of members, under both names at least.
	membersMost = 100
)

// thinStrangers returns a logger that writes at most so many lines a minute of each kind
// that strangers can cause. The next line of the kind counts those that were left out.
func thinStrangers(logger *log.Logger, most int) *log.Logger {
	return log.New(&strangersWriter{out: logger.Writer(), most: most, kinds: map[string]*strangersKind{}}, logger.Prefix(), logger.Flags())
}

type strangersWriter struct {
	out  io.Writer
	most int

	mu    sync.Mutex
	kinds map[string]*strangersKind // by their beginnings, of strangerLines
}

// strangersKind is what is known of a kind of lines.
type strangersKind struct {
	since   time.Time // when the interval began
	written int       // lines in it
	left    int       // lines left out since the last that was written
}

func (w *strangersWriter) Write(line []byte) (int, error) {
	kind := strangerLine(line)
	if kind == "" {
		return w.out.Write(line)
	}
	write, left := w.count(kind)
	if !write {
		return len(line), nil
	}
	written := line
	if left > 0 {
		written = fmt.Appendf(nil, "%s (and %d such lines left out)\n", bytes.TrimSuffix(line, []byte("\n")), left)
	}
	if _, err := w.out.Write(written); err != nil {
		return 0, err
	}
	return len(line), nil
}

// count counts a line of a kind. It tells whether to write it, and how many lines were
// left out before.
func (w *strangersWriter) count(kind string) (write bool, left int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := w.kinds[kind]
	if k == nil {
		k = &strangersKind{}
		w.kinds[kind] = k
	}
	if now := time.Now(); now.Sub(k.since) >= strangersInterval {
		k.since, k.written = now, 0
	}
	most := w.most
	if slices.Contains(memberLines, kind) {
		most = max(most, membersMost)
	}
	if k.written >= most {
		k.left++
		return false, 0
	}
	k.written++
	left, k.left = k.left, 0
	return true, left
}

// strangerLine is the kind of a line that strangers can cause, or "". Lost events are no
// such kind: they are thinned where they are counted.
func strangerLine(line []byte) (kind string) {
	at := bytes.IndexByte(line, '[')
	if at < 0 || bytes.HasPrefix(line[at:], []byte(overflowLine)) {
		return ""
	}
	_, text, _ := bytes.Cut(line[at:], []byte("] "))
	for _, kinds := range [][]string{strangerLines, memberLines} {
		for _, kind := range kinds {
			if bytes.HasPrefix(text, []byte(kind)) {
				return kind
			}
		}
	}
	return ""
}
