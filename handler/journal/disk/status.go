package disk

import (
	"fmt"
	"time"

	"agentctl/handler/journal"
	"agentctl/handler/text"
)

// Status tells how a Disk stands.
type Status struct {
	// Degraded says that the disk fails or does not keep up: since when, and
	// why. Events are taken and delivered nevertheless, and those that wait are
	// lost if the process ends.
	Degraded bool
	Since    time.Time
	Error    string

	// Unwritten is how many events are not in the file yet, and UnwrittenBytes
	// their size.
	Unwritten      int
	UnwrittenBytes int

	Head       uint64 // the newest sequence number
	Durable    uint64 // the newest sequence number in the file
	Retained   int    // events of the history
	Duplicates uint64 // events that were left out, because the journal held them already
	Commits    uint64
	Failures   uint64 // commits that failed
	Degrades   uint64 // how often the disk began to fail or lag
}

// Status tells how the Disk stands now.
func (d *Disk) Status() Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.file.Backlog()
	s := Status{
		Degraded:       !d.state.since.IsZero(),
		Since:          d.state.since,
		Unwritten:      b.Events,
		UnwrittenBytes: b.Bytes,
		Head:           b.Head,
		Durable:        d.state.header.Head,
		Retained:       b.Retained,
		Duplicates:     b.Duplicates,
		Commits:        d.state.commits,
		Failures:       d.state.failures,
		Degrades:       d.state.degrades,
	}
	if d.state.err != nil {
		s.Error = d.state.err.Error()
	}
	return s
}

// LastCommit is how long the last commit took; 0 before the first.
func (d *Disk) LastCommit() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state.took
}

// fileState tells how the file stands.
type fileState struct {
	generation uint64 // of the newest changes in the file, see journal.Backlog
	header     journal.Header
	progress   chan struct{} // closed when generation grows

	since    time.Time // when it became degraded; zero when it is not
	err      error     // why
	commits  uint64
	took     time.Duration // by the last commit
	failures uint64        // commits that failed
	degrades uint64        // how often it became degraded

	over      chan struct{} // closed when the last commit that began has ended; nil before the first
	abandoned bool          // no commit begins any more
}

// degrade notes that the disk fails or lags, and logs that once. A cause replaces the
// error that is shown. That too much waits is only an effect, and replaces nothing.
func (d *Disk) degrade(err error, cause bool) {
	d.mu.Lock()
	first := d.state.since.IsZero()
	if first {
		d.state.since = time.Now()
		d.state.degrades++
	}
	if first || cause {
		d.state.err = err
	}
	d.mu.Unlock()
	if first {
		d.log.Error("the journal cannot be written: events that wait are in memory only, and lost if the agent ends; mend the disk",
			"err", err)
	}
}

// recovered ends the degraded state after a commit, unless too much waits still.
func (d *Disk) recovered(written int) {
	over := d.file.Backlog().Over
	d.mu.Lock()
	since := d.state.since
	if over || since.IsZero() {
		d.mu.Unlock()
		return
	}
	d.state.since, d.state.err = time.Time{}, nil
	d.mu.Unlock()
	d.log.Info("the journal is written again", "degraded_for", text.Round(time.Since(since)), "events", written)
}

// watch makes the journal degraded if too much waits for the disk.
func (d *Disk) watch(stop <-chan struct{}) {
	for {
		select {
		case <-d.file.Behind():
		case <-stop:
			return
		}
		if b := d.file.Backlog(); b.Over {
			d.degrade(fmt.Errorf("%d events (%d bytes) wait for the disk", b.Events, b.Bytes), false)
		}
	}
}
