package disk

import (
	"context"
	"fmt"

	"agentctl/handler/journal"
)

// Sync waits until all that the journal was told before is in the file: events,
// acknowledgements, burials, places. While the disk fails it waits on.
func (d *Disk) Sync(ctx context.Context) error {
	backlog := d.file.Backlog()
	gen, closed := backlog.Generation, backlog.Closed
	for {
		d.mu.Lock()
		written, progress, cause := d.state.generation, d.state.progress, d.state.err
		d.mu.Unlock()
		if written >= gen {
			return nil
		}
		if closed {
			return journal.ErrClosed
		}
		select {
		case d.hurry <- struct{}{}:
		default: // somebody hurries it already
		}
		select {
		case <-progress:
		case <-d.quit:
			closed = true
			if err := d.Close(); err != nil { // waits for the last commit
				return err
			}
		case <-ctx.Done():
			if cause != nil {
				return fmt.Errorf("%w; the journal: %w", ctx.Err(), cause)
			}
			return ctx.Err()
		}
	}
}

// Durable tells what is surely in the file: seq is the newest event of those
// written, and ltime the Lamport time up to which it holds every user event
// that was appended (or has held, until the retention let go of it). An event
// appended and not yet written lowers ltime to just below its own.
//
// Of events that were not appended yet it says nothing, and events may come
// with Lamport times below those of earlier ones. Whoever sets serf's clock
// back after a crash goes from ltime back by as far as the cluster's events
// may come out of order (serf keeps 512 Lamport times): what is held already
// and comes again is left out by Append.
func (d *Disk) Durable() (seq, ltime uint64) {
	d.mu.Lock() // what is written later makes the answer no less true
	seq, ltime = d.state.header.Head, d.state.header.LTime
	d.mu.Unlock()
	return seq, d.file.DurableLTime(ltime)
}
