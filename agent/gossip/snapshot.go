package gossip

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/hashicorp/serf/serf"
)

// writeSnapshotClock makes serf begin with the event clock back by its window
// from ltime, the last Lamport time that the journal holds. What serf had seen
// of later ones, the journal may lack: left to itself, serf would refuse them
// as known when peers send them again. It is the last line that counts, also
// behind one that says the node had left.
func writeSnapshotClock(path string, ltime uint64) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	end, err := lastLine(f)
	if err != nil {
		return err
	}
	line := fmt.Appendf(nil, "event-clock: %d\n", ltime-min(ltime, Window))
	if _, err := f.WriteAt(line, end); err != nil {
		return err
	}
	// What is left of a line that a crash cut off.
	return f.Truncate(end + int64(len(line)))
}

// SetSnapshotClock does that for the snapshot that serf is to begin with. Where it
// fails, on a full disk say, serf begins without one: with clocks at zero it
// refuses nothing that peers send again. It lacks the members it knew, so it
// needs a join.
func SetSnapshotClock(conf *serf.Config, ltime uint64, logger *slog.Logger) {
	err := writeSnapshotClock(conf.SnapshotPath, ltime)
	if err == nil {
		return
	}
	logger.Error("serf's snapshot cannot be written: going on without it, so that no event is taken for known. Members that it names are found again by a join only; make room, and start the agent anew",
		"file", conf.SnapshotPath, "error", err)
	conf.SnapshotPath = ""
}

// lastLine is where the last whole line of a file ends.
func lastLine(f *os.File) (end int64, err error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	for buf := make([]byte, 4096); size > 0; {
		n := min(size, int64(len(buf)))
		if _, err := f.ReadAt(buf[:n], size-n); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			return size - n + int64(i) + 1, nil
		}
		size -= n
	}
	return 0, nil
}
