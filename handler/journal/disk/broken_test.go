package disk

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler/journal"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

// brokenStore stands before a journal's file and fails or hangs.
type brokenStore struct {
	store
	mu   sync.Mutex
	err  error
	hang chan struct{} // closed by mend
}

func (b *brokenStore) wrap(s store) store { b.store = s; return b }

func (b *brokenStore) commit(ba *journal.Changes) error {
	b.mu.Lock()
	err, hang := b.err, b.hang
	b.mu.Unlock()
	if hang != nil {
		<-hang
	}
	if err != nil {
		return err
	}
	return b.store.commit(ba)
}

func (b *brokenStore) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

func (b *brokenStore) block() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hang = make(chan struct{})
}

func (b *brokenStore) mend() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = nil
	if b.hang != nil {
		close(b.hang)
		b.hang = nil
	}
}

// The disk fails for an hour: events are taken, delivered and given up as
// ever, and what then still waits is written.
func TestDiskFailsAndMends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken, lines := &brokenStore{}, &testkit.LogBuffer{}
		cfg := Config{Dir: t.TempDir(), Logger: lines.Logger(), wrap: broken.wrap, NoSync: true,
			Limits: journal.Config{MaxEvents: 3000, MaxPending: 3000}}
		d := openDir(t, cfg)
		fast, slow := journals.OpenCursor(t, d.Journal, "fast"), journals.OpenCursor(t, d.Journal, "slow")
		journals.MustAppend(t, d.Journal, journals.User(1, ""), journals.User(2, ""))
		testkit.Want(t, "handed out before", journals.Ready(t, fast), []uint64{1, 2})
		testkit.MustSync(t, d)
		began := time.Now()
		broken.fail(errors.New("no space left"))
		journals.Ack(t, fast, 1, 2)
		for i := range uint64(10_000) {
			journals.MustAppend(t, d.Journal, journals.User(3+i, ""))
			rec, err := fast.Next(t.Context())
			if err != nil || rec.Event.LTime != 3+i {
				t.Fatal(rec, err)
			}
			journals.Ack(t, fast, rec.Seq)
		}
		time.Sleep(time.Hour)
		s := d.Status()
		if !s.Degraded || s.Since.Before(began) || s.Since.Sub(began) > time.Second || s.Error != "no space left" || s.Unwritten != 3000 || s.Durable != 2 || s.Failures < 700 || s.Failures > 1000 {
			t.Errorf("%+v", s)
		}
		if n := d.file.Backlog().Held; n > 2*3000+1 {
			t.Errorf("%d events are held for the disk", n)
		}
		testkit.Want(t, "lines of failure", len(lines.With(t, "cannot be written")), 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := d.Sync(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no space left") {
			t.Errorf("%v", err)
		}
		broken.mend()
		testkit.MustSync(t, d)
		synctest.Wait()
		if s := d.Status(); s.Degraded || s.Unwritten != 0 || s.Durable != 10_002 || s.Error != "" {
			t.Errorf("%+v", s)
		}
		testkit.Want(t, "lines of recovery", len(lines.With(t, "written again")), 1)
		before := slow.Status()
		testkit.MustClose(t, d)
		if r, err := Check(cfg.Dir); err != nil || r.Events != 3000 {
			t.Errorf("%+v, %v: what was let go of meanwhile is to be deleted", r, err)
		}

		cfg.wrap = nil
		d = openDir(t, cfg)
		testkit.Want(t, "retained", d.Status().Retained, 3000)
		slow = journals.OpenCursor(t, d.Journal, "slow")
		if s := slow.Status(); s.Waiting != 3000 || s.Lost != before.Lost || s.Lost != 7002 {
			t.Errorf("%+v, before %+v", s, before)
		}
		testkit.Want(t, "waiting for the fast one", journals.OpenCursor(t, d.Journal, "fast").Status().Waiting, 0)
	})
}

// A disk that hangs holds up nothing but Sync and, for a while, Close.
func TestDiskHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken, lines := &brokenStore{}, &testkit.LogBuffer{}
		d, err := Open(Config{Dir: t.TempDir(), Logger: lines.Logger(), wrap: broken.wrap})
		if err != nil {
			t.Fatal(err)
		}
		broken.block()
		c := journals.OpenCursor(t, d.Journal, "a")
		journals.MustAppend(t, d.Journal, journals.User(1, ""))
		time.Sleep(9 * time.Second)
		testkit.Want(t, "degraded at first", d.Status().Degraded, false)
		time.Sleep(2 * time.Second)
		if s := d.Status(); !s.Degraded || !strings.Contains(s.Error, "not answered") {
			t.Errorf("%+v", s)
		}
		testkit.Want(t, "handed out", journals.Ready(t, c), []uint64{1})
		began := time.Now()
		if err := d.Close(); err == nil || !strings.Contains(err.Error(), "1 events are not written") {
			t.Errorf("%v", err)
		}
		testkit.Want(t, "closing took", time.Since(began), d.cfg.CloseTimeout)
		broken.mend() // lets the goroutine end
	})
}

func TestDiskTooMuchUnwritten(t *testing.T) {
	for name, cfg := range map[string]Config{"events": {maxUnwritten: 10}, "bytes": {maxUnwrittenBytes: 2000}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				broken := &brokenStore{}
				cfg.Dir, cfg.wrap = t.TempDir(), broken.wrap
				d := openDir(t, cfg)
				testkit.MustSync(t, d)
				broken.block()
				for i := range uint64(9) {
					journals.MustAppend(t, d.Journal, journals.User(i, ""))
				}
				for i := range uint64(2) {
					journals.MustAppend(t, d.Journal, journals.User(9+i, ""))
				}
				synctest.Wait()
				if s := d.Status(); !s.Degraded || !strings.Contains(s.Error, "wait for the disk") {
					t.Errorf("%+v", s)
				}
				broken.mend()
				testkit.MustSync(t, d)
				synctest.Wait()
				testkit.Want(t, "degraded in the end", d.Status().Degraded, false)
			})
		})
	}
}

// That much waits is told only where no cause of it is known.
func TestDiskFailsAndLags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := &brokenStore{}
		d := openDir(t, Config{Dir: t.TempDir(), maxUnwritten: 10, wrap: broken.wrap})
		testkit.MustSync(t, d)
		broken.fail(errFull)
		journals.MustAppend(t, d.Journal, journals.User(1, ""))
		time.Sleep(2 * commitPause) // the commit has failed, and is tried again after a while
		for i := range uint64(20) {
			journals.MustAppend(t, d.Journal, journals.User(2+i, ""))
		}
		synctest.Wait()
		testkit.Want(t, "why it is degraded", d.Status().Error, errFull.Error())
		broken.mend()
		testkit.MustSync(t, d)
	})
}

// The last chance to write is at the end; what does not get there is counted.
func TestDiskFailsAtTheEnd(t *testing.T) {
	broken := &brokenStore{}
	logger, log := testkit.NewLog()
	d, err := Open(Config{Dir: t.TempDir(), wrap: broken.wrap, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	broken.fail(errors.New("gone"))
	journals.MustAppend(t, d.Journal, journals.User(1, ""), journals.User(2, ""))
	for range 2 {
		if err := d.Close(); err == nil || !strings.Contains(err.Error(), "2 events are not written: gone") {
			t.Errorf("%v", err)
		}
	}
	if n := log.Count("level=ERROR", "the journal was not written to its end", "2 events are not written"); n != 1 {
		t.Errorf("%d errors in the log tell of the loss, want 1:\n%s", n, log)
	}
	if err := d.Sync(t.Context()); err == nil {
		t.Error("synced")
	}
	if _, err := Check(d.cfg.Dir); err != nil {
		t.Errorf("it did not let go of the directory: %v", err)
	}
}

// A panic within bbolt fails the commit, and all later ones at once: bbolt may
// hold its locks.
func TestDiskPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *boltStore
		d, err := Open(Config{Dir: t.TempDir(), wrap: func(st store) store { s = st.(*boltStore); return st }})
		if err != nil {
			t.Fatal(err)
		}
		testkit.MustSync(t, d)
		if err := s.commit(&journal.Changes{Entries: []*journal.Entry{nil}}); err == nil || !strings.Contains(err.Error(), "nil pointer") {
			t.Errorf("%v", err)
		}
		c := journals.OpenCursor(t, d.Journal, "a")
		journals.MustAppend(t, d.Journal, journals.User(1, ""))
		testkit.WaitFor(t, "degradation", func() bool { return d.Status().Degraded })
		if _, err := c.Next(t.Context()); err != nil {
			t.Error(err)
		}
		if err := d.Close(); err == nil || !strings.Contains(err.Error(), "started anew") {
			t.Errorf("%v", err)
		}
		if err := s.db.Close(); err != nil {
			t.Error(err)
		}
	})
}
