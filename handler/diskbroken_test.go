package handler

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// brokenStore stands before a journal's file and fails or hangs.
type brokenStore struct {
	store
	mu   sync.Mutex
	err  error
	hang chan struct{} // closed by mend
}

func (b *brokenStore) wrap(s store) store { b.store = s; return b }

func (b *brokenStore) commit(ba *batch) error {
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

// waitFor polls for what no channel tells.
func waitFor(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("still no %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// The disk fails for an hour: events are taken, delivered and given up as
// ever, and what then still waits is written.
func TestDiskFailsAndMends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken, lines := &brokenStore{}, &logLines{}
		cfg := DiskConfig{Dir: t.TempDir(), Logger: lines.logger(), wrap: broken.wrap, noSync: true,
			Limits: MemoryConfig{MaxEvents: 3000, MaxPending: 3000}}
		d := openDir(t, cfg)
		fast, slow := openCursor(t, d, "fast"), openCursor(t, d, "slow")
		mustAppend(t, d, user(1, ""), user(2, ""))
		want(t, "handed out before", ready(t, fast), []uint64{1, 2})
		mustSync(t, d)
		began := time.Now()
		broken.fail(errors.New("no space left"))
		ack(t, fast, 1, 2)
		for i := range uint64(10_000) {
			mustAppend(t, d, user(3+i, ""))
			rec, err := fast.Next(t.Context())
			if err != nil || rec.Event.LTime != 3+i {
				t.Fatal(rec, err)
			}
			ack(t, fast, rec.Seq)
		}
		time.Sleep(time.Hour)
		s := d.Status()
		if !s.Degraded || s.Since.Before(began) || s.Since.Sub(began) > time.Second || s.Error != "no space left" || s.Unwritten != 3000 || s.Durable != 2 || s.Failures < 700 || s.Failures > 1000 {
			t.Errorf("%+v", s)
		}
		if n := d.changes.unwritten.Len(); n > 2*3000+1 {
			t.Errorf("%d events are held for the disk", n)
		}
		want(t, "lines of failure", len(lines.with(t, "cannot be written")), 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := d.Sync(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no space left") {
			t.Errorf("%v", err)
		}
		broken.mend()
		mustSync(t, d)
		synctest.Wait()
		if s := d.Status(); s.Degraded || s.Unwritten != 0 || s.Durable != 10_002 || s.Error != "" {
			t.Errorf("%+v", s)
		}
		want(t, "lines of recovery", len(lines.with(t, "written again")), 1)
		before := slow.Status()
		closeDisk(t, d)
		if r, err := CheckDir(cfg.Dir); err != nil || r.Events != 3000 {
			t.Errorf("%+v, %v: what was let go of meanwhile is to be deleted", r, err)
		}

		cfg.wrap = nil
		d = openDir(t, cfg)
		want(t, "retained", d.Status().Retained, 3000)
		slow = openCursor(t, d, "slow")
		if s := slow.Status(); s.Waiting != 3000 || s.Lost != before.Lost || s.Lost != 7002 {
			t.Errorf("%+v, before %+v", s, before)
		}
		want(t, "waiting for the fast one", openCursor(t, d, "fast").Status().Waiting, 0)
	})
}

// A disk that hangs holds up nothing but Sync and, for a while, Close.
func TestDiskHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken, lines := &brokenStore{}, &logLines{}
		d, err := OpenDisk(DiskConfig{Dir: t.TempDir(), Logger: lines.logger(), wrap: broken.wrap})
		if err != nil {
			t.Fatal(err)
		}
		broken.block()
		c := openCursor(t, d, "a")
		mustAppend(t, d, user(1, ""))
		time.Sleep(9 * time.Second)
		want(t, "degraded at first", d.Status().Degraded, false)
		time.Sleep(2 * time.Second)
		if s := d.Status(); !s.Degraded || !strings.Contains(s.Error, "not answered") {
			t.Errorf("%+v", s)
		}
		want(t, "handed out", ready(t, c), []uint64{1})
		began := time.Now()
		if err := d.Close(); err == nil || !strings.Contains(err.Error(), "1 events are not written") {
			t.Errorf("%v", err)
		}
		want(t, "closing took", time.Since(began), d.cfg.closeTimeout)
		broken.mend() // lets the goroutine end
	})
}

func TestDiskTooMuchUnwritten(t *testing.T) {
	for name, cfg := range map[string]DiskConfig{"events": {MaxUnwritten: 10}, "bytes": {MaxUnwrittenBytes: 10 * recordSize}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				broken := &brokenStore{}
				cfg.Dir, cfg.wrap = t.TempDir(), broken.wrap
				d := openDir(t, cfg)
				mustSync(t, d)
				broken.block()
				for i := range uint64(9) {
					mustAppend(t, d, user(i, ""))
				}
				for i := range uint64(2) {
					mustAppend(t, d, user(9+i, ""))
				}
				synctest.Wait()
				if s := d.Status(); !s.Degraded || !strings.Contains(s.Error, "wait for the disk") {
					t.Errorf("%+v", s)
				}
				broken.mend()
				mustSync(t, d)
				synctest.Wait()
				want(t, "degraded in the end", d.Status().Degraded, false)
			})
		})
	}
}

// That much waits is told only where no cause of it is known.
func TestDiskFailsAndLags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := &brokenStore{}
		d := openDir(t, DiskConfig{Dir: t.TempDir(), MaxUnwritten: 10, wrap: broken.wrap})
		mustSync(t, d)
		broken.fail(errFull)
		mustAppend(t, d, user(1, ""))
		time.Sleep(2 * commitPause) // the commit has failed, and is tried again after a while
		for i := range uint64(20) {
			mustAppend(t, d, user(2+i, ""))
		}
		synctest.Wait()
		want(t, "why it is degraded", d.Status().Error, errFull.Error())
		broken.mend()
		mustSync(t, d)
	})
}

// The last chance to write is at the end; what does not get there is counted.
func TestDiskFailsAtTheEnd(t *testing.T) {
	broken := &brokenStore{}
	d, err := OpenDisk(DiskConfig{Dir: t.TempDir(), wrap: broken.wrap})
	if err != nil {
		t.Fatal(err)
	}
	broken.fail(errors.New("gone"))
	mustAppend(t, d, user(1, ""), user(2, ""))
	for range 2 {
		if err := d.Close(); err == nil || !strings.Contains(err.Error(), "2 events are not written: gone") {
			t.Errorf("%v", err)
		}
	}
	if err := d.Sync(t.Context()); err == nil {
		t.Error("synced")
	}
	if _, err := CheckDir(d.cfg.Dir); err != nil {
		t.Errorf("it did not let go of the directory: %v", err)
	}
}

// A panic within bbolt fails the commit, and all later ones at once: bbolt may
// hold its locks.
func TestDiskPanics(t *testing.T) {
	var s *boltStore
	d, err := OpenDisk(DiskConfig{Dir: t.TempDir(), wrap: func(st store) store { s = st.(*boltStore); return st }})
	if err != nil {
		t.Fatal(err)
	}
	mustSync(t, d)
	if err := s.commit(&batch{entries: []*entry{nil}}); err == nil || !strings.Contains(err.Error(), "nil pointer") {
		t.Errorf("%v", err)
	}
	c := openCursor(t, d, "a")
	mustAppend(t, d, user(1, ""))
	waitFor(t, "degradation", func() bool { return d.Status().Degraded })
	if _, err := c.Next(t.Context()); err != nil {
		t.Error(err)
	}
	if err := d.Close(); err == nil || !strings.Contains(err.Error(), "started anew") {
		t.Errorf("%v", err)
	}
	if err := s.db.Close(); err != nil {
		t.Error(err)
	}
}
