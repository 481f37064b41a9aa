package agent

import (
	"context"
	"fmt"
	"os"
	"time"

	"agentctl/agent/gossip"
	"agentctl/handler/journal"
	"agentctl/handler/journal/disk"
)

// openJournal opens the journal, in the data directory where there is one.
func (a *Agent) openJournal() error {
	o := a.opts
	limits := journal.Config{
		MaxEvents:  o.JournalMaxEvents,
		MaxAge:     o.JournalMaxAge,
		Window:     gossip.Window,
		MaxPending: o.QueueMaxEvents,
	}
	if o.DataDir == "" {
		a.journal = journal.New(limits)
		a.stops.push("closing the journal", closeWait, closeJournal(a.journal))
		a.logger.Info("the journal is in memory: when the agent ends, it loses the events that wait; set -data-dir to keep them")
		return nil
	}
	start := time.Now()
	disk, err := disk.Open(disk.Config{
		Dir: o.DataDir, Limits: limits, Logger: a.logger, Metrics: a.hooks.Metrics,
	})
	if err != nil {
		return fmt.Errorf("%s: %w", o.Label("data-dir"), err)
	}
	a.journal, a.disk = disk.Journal, disk
	a.stops.push("closing the journal", closeWait, closeJournal(a.journal))
	seq, ltime := disk.Durable()
	a.past.lastLTime, a.past.returning = ltime, !disk.Begun()
	if seq == 0 && len(disk.Targets()) == 0 { // new, or begun by a process that came no further
		if _, err := os.Stat(o.SnapshotPath); err == nil {
			a.past.returning, a.past.bereft = true, true
			a.logger.Error("the journal is new, and this node is not: what waited for its targets is not known, so each is flushed once", "data_dir", o.DataDir)
		}
	}
	a.logger.Info("the journal is open", "data_dir", o.DataDir, "events", disk.Status().Retained,
		"newest", seq, "ltime", ltime, "took", time.Since(start).Round(time.Millisecond))
	return nil
}

// noJournal is why targets have a gap where the journal is gone.
const noJournal = "the journal was begun anew: what waited in the one before is not known"

// closeJournal has its own limit for a disk that hangs.
func closeJournal(j *journal.Journal) func(context.Context) error {
	return func(context.Context) error { return j.Close() }
}

// diskStatus tells how the journal's disk stands; false where it has none.
func (a *Agent) diskStatus() (disk.Status, bool) {
	if a.disk == nil {
		return disk.Status{}, false
	}
	return a.disk.Status(), true
}

// keeps tells whether the next process will know what waits now.
func (a *Agent) keeps() bool { return a.disk != nil && !a.disk.Status().Degraded }
