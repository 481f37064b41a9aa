package agent

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/serf/serf"
)

const (
	// tellTime is how long a leave waits for members to take the last events.
	tellTime = 500 * time.Millisecond
	// fileTime is how long a leave waits for the journal to be in its file.
	fileTime = 2 * time.Second
	// lastMoment is how long an end at once waits for the disk.
	lastMoment = 10 * time.Millisecond
)

// errSlowDisk is why a leave goes on without the disk.
var errSlowDisk = fmt.Errorf("the disk was not done within %v", fileTime)

// leave leaves the cluster, for ending.leave. Serf's own leave cannot be cancelled,
// but ends by itself after its broadcast timeout.
func (a *Agent) leave() error {
	if a.serf.State() == serf.SerfShutdown {
		return nil
	}
	a.end.leaving.Store(true)
	a.logger.Info("leaving the cluster")
	tell, told := context.WithTimeout(context.Background(), tellTime)
	defer told()
	a.publisher.Flush(tell) // what it leaves behind, gossip carries
	err := a.serf.Leave()
	file, filed := context.WithTimeoutCause(context.Background(), fileTime, errSlowDisk)
	defer filed()
	if a.opts.EndsAtOnce() { // the end has no time for this
		if err := within(file, a.serf.Shutdown); err != nil {
			a.logger.Warn("serf's snapshot may not tell of the leave", "error", err)
		}
	}
	if err := a.settle(file); err != nil {
		a.logger.Error("the journal may lack the last events", "error", cmp.Or(context.Cause(file), err))
	}
	if a.opts.EndsAtOnce() && a.disk != nil {
		a.disk.Abandon(file)
	}
	return err
}

// settle has the journal's file take what came to this node so far.
func (a *Agent) settle(ctx context.Context) error {
	if a.disk == nil {
		return nil
	}
	a.intake.Release(ctx) // members' last changes, which no later process is told of
	if err := a.intake.Settle(ctx); err != nil {
		return err
	}
	return a.disk.Sync(ctx)
}

// endAtOnce is the end of an agent that waits for no gateway, script or member, as
// that of stock serf. The process exits behind it, and that closes ports and frees the
// data directory. Scripts run on. Beside a leave that was asked for, only what would
// otherwise stay behind has to be done: the file of a unix socket, the last lines of
// serf's snapshot, and one commit of the journal. For anything later the next process
// finds what it finds after a kill.
func (a *Agent) endAtOnce(why reason) (err error) {
	if why.asked {
		err = a.Leave() // which sees to the files, too
	} else {
		a.lastCommit()
	}
	// In effect, since the process exits.
	a.logger.Debug("shutting serf down")

	a.ports.RPC.Close() // an error says no more than that it is closed
	a.sinks.tellAll(a.keeps())
	return err
}

// lastCommit has the journal and serf's snapshot written, if the disk takes that in the
// last moment. What is not in the files comes again.
func (a *Agent) lastCommit() {
	ctx, cancel := context.WithTimeout(context.Background(), lastMoment)
	defer cancel()
	var last sync.WaitGroup
	if a.diskIsQuick() {
		last.Go(func() { a.settle(ctx) })
		if a.opts.SnapshotPath != "" {
			last.Go(func() { within(ctx, a.serf.Shutdown) })
		}
	}
	last.Wait()
	if a.disk != nil {
		a.disk.Abandon(ctx)
	}
}

// diskIsQuick tells whether a sync may be begun at the last moment. The kernel ends no
// process before its sync has ended, so none is begun on a disk that was slow last time.
func (a *Agent) diskIsQuick() bool {
	if a.disk == nil {
		return true
	}
	return !a.disk.Status().Degraded && a.disk.LastCommit() <= lastMoment
}
