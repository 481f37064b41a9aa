package disk

import (
	"errors"
	"fmt"
	"time"

	"agentctl/handler/backoff"
)

// commitPause is the time from the beginning of a commit to that of the
// next. So a busy journal does some hundred commits a second, and not as
// many as the disk can take.
const commitPause = 10 * time.Millisecond

// slowCommit is how long a commit may take before the journal is degraded.
const slowCommit = 10 * time.Second

// commitRetry is how long the writer waits after a failed commit. It needs no
// jitter, because the disk is this node's own.
var commitRetry = backoff.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}

// run writes after changes until Close, and then once more.
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
	if errors.Is(err, errAbandoned) {
		err = nil // as was wanted
	} else if err != nil {
		err = fmt.Errorf("journal %s: %d events are not written: %w", d.cfg.Dir, d.Status().Unwritten, err)
	}
	close(stop)
	<-watched
	if cerr := d.store.close(); err == nil && cerr != nil {
		err = fmt.Errorf("journal %s: %w", d.cfg.Dir, cerr)
	}
	unlockDir(d.lock) // only the lock mattered, so its error does not
	d.done <- err
}

// errAbandoned is why no commit is begun any more.
var errAbandoned = errors.New("the journal was abandoned")

// begin tells whether a commit may begin. The caller closes the channel at its end.
func (d *Disk) begin() (over chan struct{}, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state.abandoned {
		return nil, false
	}
	d.state.over = make(chan struct{})
	return d.state.over, true
}

// commit writes the changes since the last one.
func (d *Disk) commit() error {
	over, ok := d.begin()
	if !ok {
		return errAbandoned
	}
	defer close(over)
	changes := d.file.Gather()
	slow := time.AfterFunc(slowCommit, func() {
		d.degrade(fmt.Errorf("the disk has not answered for %v", slowCommit), true)
	})
	err := error(nil)
	if !changes.Empty() {
		begun := time.Now()
		err = d.store.commit(changes)
		d.mu.Lock()
		d.state.took = time.Since(begun)
		d.mu.Unlock()
	}
	slow.Stop()
	if err != nil {
		d.file.NotWritten(changes)
		d.degrade(err, true) // before failures grows, so that Status has the reason with it
		d.mu.Lock()
		d.state.failures++
		d.mu.Unlock()
		return err
	}
	d.file.Written(changes)
	d.mu.Lock()
	d.state.commits++
	d.state.generation, d.state.header = changes.Generation, changes.Header
	close(d.state.progress)
	d.state.progress = make(chan struct{})
	d.mu.Unlock()
	d.recovered(len(changes.Entries))
	return nil
}
