package disk

import (
	"context"
	"fmt"

	"agentctl/handler/journal"
)

// Sync waits until all changes that were made before the call are in the file: events,
// acknowledgements, burials, cursors. While the disk fails it waits, until ctx ends;
// its error names the cause then. After Close the error is journal.ErrClosed, unless
// the last commit wrote those changes.
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
		default: // another Sync hurries the writer already
		}
		select {
		case <-progress:
		case <-d.quit:
			closed = true
			if err := d.Close(); err != nil { // it waits for the last commit
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

// Durable tells what is surely in the file. The first result is the newest sequence
// number in it. The second is the Lamport time up to which every user event that was
// appended is in the file, or was until the retention let go of it. An event that is
// appended and not yet written lowers it to just below its own Lamport time.
//
// It says nothing about events that were not appended yet, and events come with
// Lamport times out of order. So a caller that sets serf's clock back after a crash
// goes back further, by the Window of the journal's Config. If events come again,
// Append leaves out those that the journal holds.
func (d *Disk) Durable() (seq, ltime uint64) {
	d.mu.Lock() // a later commit makes the answer no less true
	seq, ltime = d.state.header.Head, d.state.header.LTime
	d.mu.Unlock()
	return seq, d.file.DurableLTime(ltime)
}
