package disk

import (
	"fmt"
	"time"

	"agentctl/handler/backoff"
	"agentctl/handler/journal"
	"agentctl/handler/text"
)

const (
	// commitPause is from the beginning of a commit to that of the next, so
	// that a busy journal does some hundred commits a second and not as many
	// as the disk can take.
	commitPause = 10 * time.Millisecond
)

// commitRetry is how long the writer waits after a failed commit. It needs no
// jitter, because the disk is this node's own.
var commitRetry = backoff.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}

// state is how the file stands.
type state struct {
	gen      uint64 // of the changes that are in it
	header   journal.Header
	progress chan struct{} // closed when gen grows

	since    time.Time // when it became degraded; zero when it is not
	err      error     // why
	commits  uint64
	failures uint64 // commits that failed
	degrades uint64 // how often it became degraded
}

// Status is how a Disk stands.
type Status struct {
	// Degraded says that the disk fails or does not keep up, and why: events
	// are taken and delivered all the same, and lost if the process ends.
	Degraded bool
	Since    time.Time
	Error    string

	// Unwritten events, of UnwrittenBytes, are not in the file yet.
	Unwritten      int
	UnwrittenBytes int

	Head       uint64 // the newest event
	Durable    uint64 // the newest in the file
	Retained   int    // events of the history
	Duplicates uint64 // events left out, as they were held already
	Commits    uint64
	Failures   uint64 // commits that failed
	Degrades   uint64 // how often the disk began to fail or lag
}

// Status tells how the journal stands.
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

// run writes until Close, and then once more.
func (d *Disk) run() {
	watched := make(chan struct{})
	stop := make(chan struct{})
	go func() {
		defer close(watched)
		d.watch(stop)
	}()
	failures := 0 // in a row
	pause := time.NewTimer(0)
	defer pause.Stop()
	for going := true; going; {
		select {
		case <-d.file.Wake():
		case <-d.quit:
			going = false
			continue
		}
		begun := time.Now()
		failed := d.commit() != nil
		wait := commitPause - time.Since(begun)
		if failed {
			failures++
			wait = commitRetry.Ceiling(failures)
			d.file.Retry()
		} else {
			failures = 0
		}
		pause.Reset(wait)
		hurry := d.hurry
		if failed {
			hurry = nil
		}
		select {
		case <-pause.C:
		case <-hurry:
		case <-d.quit:
			going = false
		}
	}
	err := d.commit()
	if err != nil {
		err = fmt.Errorf("journal %s: %d events are not written: %w", d.cfg.Dir, d.Status().Unwritten, err)
	}
	close(stop)
	<-watched
	if cerr := d.store.close(); err == nil && cerr != nil {
		err = fmt.Errorf("journal %s: %w", d.cfg.Dir, cerr)
	}
	unlockDir(d.lock) // nothing was written to it that matters
	d.done <- err
}

// commit writes what has changed.
func (d *Disk) commit() error {
	b := d.file.Gather()
	slow := time.AfterFunc(d.cfg.SlowCommit, func() {
		d.degrade(fmt.Errorf("the disk has not answered for %v", d.cfg.SlowCommit), true)
	})
	err := error(nil)
	if !b.Empty() {
		err = d.store.commit(b)
	}
	slow.Stop()
	if err != nil {
		d.file.NotWritten(b)
		d.degrade(err, true) // first: who sees a failure sees the reason
		d.mu.Lock()
		d.state.failures++
		d.mu.Unlock()
		return err
	}
	d.file.Written(b)
	d.mu.Lock()
	d.state.commits++
	d.state.gen, d.state.header = b.Gen, b.Header
	close(d.state.progress)
	d.state.progress = make(chan struct{})
	d.mu.Unlock()
	d.recovered(len(b.Entries))
	return nil
}

// watch makes the journal degraded when too much waits for the disk.
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

// degrade notes and logs, once, that the disk fails or lags. A cause takes the
// place of an earlier one; that much waits is but the effect of one.
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
		d.log.Error("the journal cannot be written: events are delivered from memory, and those that wait are lost if the agent ends; make room or mend the disk",
			"err", err)
	}
}

// recovered ends that, unless there is still too much.
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
