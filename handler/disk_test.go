package handler

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
)

func mustSync(t testing.TB, d *Disk) {
	t.Helper()
	if err := d.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestDiskGoesOnWhereItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := DiskConfig{Dir: filepath.Join(t.TempDir(), "a", "b")}
		d := openDir(t, cfg)
		for path, mode := range map[string]os.FileMode{cfg.Dir: 0o700 | os.ModeDir, filepath.Join(cfg.Dir, journalFile): 0o600} {
			if info, err := os.Stat(path); err != nil || info.Mode() != mode {
				t.Errorf("%s: %v, %v", path, info.Mode(), err)
			}
		}
		events := []Event{
			NewUser(7, "na\x00me", []byte{0, 255}, time.Now()),
			NewQuery(8, "q", nil, time.Now()),
			NewMember(MemberJoin, "m-1", []byte("lines\n"), time.Now()),
			{Type: "novel", Name: "n", Payload: []byte("x"), Time: time.Now()},
			user(9, "kong"),
		}
		c := openCursor(t, d, "t\xff", Filter{User, "na\x00me"}, Filter{User, "kong"}, Filter{Type: "novel"})
		openCursor(t, d, "gone", Filter{User, ""})
		mustAppend(t, d, events...)
		want(t, "handed out", ready(t, c), []uint64{7, 0, 9})
		why := BuriedInfo{Time: time.Now(), Status: 404, Reason: "answered 404", Answer: []byte("no\n")}
		if err := c.Bury(4, why); err != nil {
			t.Fatal(err)
		}
		d.Gap(3)
		gap := time.Now()
		closeDisk(t, d)

		time.Sleep(time.Hour)
		d = openDir(t, cfg)
		var got []Event
		for rec, err := range d.Events(0) {
			if err != nil || rec.Seq != uint64(len(got)+1) {
				t.Fatal(rec.Seq, err)
			}
			got = append(got, rec.Event)
		}
		instants := cmpopts.EquateApproxTime(0)
		if diff := cmp.Diff(events, got, instants); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		mustAppend(t, d, user(10, "kong")) // before anybody opens the cursor
		c = openCursor(t, d, "t\xff", Filter{User, "kong"})
		select {
		case <-c.Losses():
		default:
			t.Error("the loss is not told")
		}
		if s := c.Status(); s.Waiting != 3 || s.Lost != 3 || !s.GapSince.Equal(gap) || s.Buried != 1 || !s.Oldest.Equal(events[0].Time) {
			t.Errorf("%+v", s)
		}
		if diff := cmp.Diff([]Buried{{4, events[3], why}}, c.Buried(), instants); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		want(t, "handed out again", ready(t, c), []uint64{7, 9, 10})
		want(t, "of one Lamport time", ltimes(t, d.ByLTime(Query, 8, 8)), []uint64{8})
		if err := d.Append(events[0], events[1]); err != nil {
			t.Error(err)
		}
		want(t, "head after a replay", d.Head(), 6)
		want(t, "duplicates", d.Status().Duplicates, 2)
		want(t, "waiting for a target not served", openCursor(t, d, "gone", Filter{User, ""}).Status().Waiting, 3)
	})
}

func TestDiskForget(t *testing.T) {
	cfg := DiskConfig{Dir: t.TempDir(), Limits: MemoryConfig{MaxEvents: 1}}
	d := openDir(t, cfg)
	c := openCursor(t, d, "a")
	openCursor(t, d, "ab").Close()
	mustAppend(t, d, user(1, ""), user(2, ""), user(3, ""))
	if _, err := c.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Bury(1, BuriedInfo{}), c.Close(), d.Forget("a"), d.Forget("never")); err != nil {
		t.Fatal(err)
	}
	closeDisk(t, d)
	r, err := CheckDir(cfg.Dir)
	if err != nil || len(r.Targets) != 1 || r.Targets[0].Name != "ab" || r.Targets[0].Waiting != 3 || r.Events != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	d = openDir(t, cfg)
	if err := d.Forget("ab"); err != nil {
		t.Fatal(err)
	}
	closeDisk(t, d)
	if r, err = CheckDir(cfg.Dir); err != nil || len(r.Targets) != 0 || r.Events != 1 || r.First != 3 || r.Head != 3 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestDiskDurable(t *testing.T) {
	hold := &brokenStore{}
	d := openDir(t, DiskConfig{Dir: t.TempDir(), wrap: hold.wrap})
	durable := func(seq, ltime uint64) {
		t.Helper()
		if s, l := d.Durable(); s != seq || l != ltime {
			t.Errorf("durable: %d, Lamport time %d, want %d, %d", s, l, seq, ltime)
		}
	}
	durable(0, 0)
	mustAppend(t, d, user(10, ""), NewQuery(99, "", nil, time.Now()))
	mustSync(t, d)
	durable(2, 10)
	hold.block()
	mustAppend(t, d, user(20, ""))
	durable(2, 10)
	mustAppend(t, d, user(8, "late"))
	durable(2, 7)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Sync(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	hold.mend()
	mustSync(t, d)
	durable(4, 20)
	dir := d.cfg.Dir
	closeDisk(t, d)
	mustSync(t, d) // it is
	d = openDir(t, DiskConfig{Dir: dir})
	durable(4, 20)
}

func TestDiskInUse(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, DiskConfig{Dir: dir})
	_, err := OpenDisk(DiskConfig{Dir: dir})
	used, ok := errors.AsType[*InUseError](err)
	if !ok || used.PID != os.Getpid() || !strings.Contains(err.Error(), dir) {
		t.Errorf("%v", err)
	}
	if _, err := CheckDir(dir); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("%v", err)
	}
	if _, err := d.Cursor(strings.Repeat("x", maxTarget+1), nil); err == nil {
		t.Error("a name of any length will do")
	}
	closeDisk(t, d)
	if err := d.Append(user(1, "")); !errors.Is(err, ErrClosed) {
		t.Errorf("%v", err)
	}
	closeDisk(t, openDir(t, DiskConfig{Dir: dir}))
	if _, err := CheckDir(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestDiskMetrics(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	broken := &brokenStore{}
	cfg := DiskConfig{Dir: t.TempDir(), Metrics: reg, wrap: broken.wrap, Limits: MemoryConfig{MaxEvents: 2}}
	d := openDir(t, cfg)
	e := user(1, "")
	mustAppend(t, d, e, e, user(2, ""), user(3, ""))
	mustSync(t, d)
	broken.fail(errors.New("no space"))
	mustAppend(t, d, user(4, ""))
	waitFor(t, "a failure", func() bool { return d.Status().Failures > 0 })
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		got[f.GetName()] = f.GetMetric()[0].GetCounter().GetValue() + f.GetMetric()[0].GetGauge().GetValue()
	}
	if got["agentctl_journal_commits_total"] < 1 || got["agentctl_journal_commit_failures_total"] < 1 {
		t.Errorf("%v", got)
	}
	delete(got, "agentctl_journal_commits_total")
	delete(got, "agentctl_journal_commit_failures_total")
	want(t, "metrics", got, map[string]float64{
		"agentctl_journal_degraded":         1,
		"agentctl_journal_degraded_total":   1,
		"agentctl_journal_unwritten_events": 1,
		"agentctl_journal_retained_events":  2,
		"agentctl_journal_duplicates_total": 1,
	})
	broken.mend()
	closeDisk(t, d)
	openDir(t, cfg) // registers again
}
