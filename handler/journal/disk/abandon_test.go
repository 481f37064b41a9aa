package disk

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

// An abandoned journal is in its file as a kill leaves it: no commit begins any more,
// and the one that was under way is waited for only as long as the caller wants.
func TestAbandon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := &brokenStore{}
		cfg := Config{Dir: t.TempDir(), NoSync: true, wrap: hold.wrap}
		d := openDir(t, cfg)
		journals.MustAppend(t, d.Journal, journals.User(1, ""))
		testkit.MustSync(t, d)
		time.Sleep(time.Second) // the pause behind a commit is over
		hold.block()
		journals.MustAppend(t, d.Journal, journals.User(2, ""))
		time.Sleep(time.Second)
		synctest.Wait() // the second event's commit hangs

		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		d.Abandon(ctx)
		if took := time.Since(began); took != time.Second {
			t.Errorf("waited %v for a commit that hangs, where a second is allowed", took)
		}
		time.AfterFunc(time.Second, hold.mend)
		began = time.Now()
		d.Abandon(t.Context())
		if took := time.Since(began); took != time.Second {
			t.Errorf("waited %v for a commit that takes another second", took)
		}
		synctest.Wait()
		commits := d.Status().Commits
		testkit.Want(t, "the last commit took", d.LastCommit(), 3*time.Second)
		journals.MustAppend(t, d.Journal, journals.User(3, ""))
		time.Sleep(time.Hour)
		d.Abandon(t.Context()) // nothing is under way
		testkit.Want(t, "commits", d.Status().Commits, commits)
		testkit.MustClose(t, d)

		cfg.wrap = nil
		d = openDir(t, cfg)
		if s := d.Status(); s.Head != 2 {
			t.Errorf("the file has %d events, want the 2 from before", s.Head)
		}
	})
}
