package disk

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

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

func TestDiskGoesOnWhereItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Dir: filepath.Join(t.TempDir(), "a", "b")}
		d := openDir(t, cfg)
		for path, mode := range map[string]os.FileMode{cfg.Dir: 0o700 | os.ModeDir, filepath.Join(cfg.Dir, journalFile): 0o600} {
			if info, err := os.Stat(path); err != nil || info.Mode() != mode {
				t.Errorf("%s: %v, %v", path, info.Mode(), err)
			}
		}
		events := []handler.Event{
			handler.NewUser(7, "na\x00me", []byte{0, 255}, time.Now()),
			handler.NewQuery(8, "q", nil, time.Now()),
			handler.NewMember(handler.MemberJoin, "m-1", []byte("lines\n"), time.Now()),
			{Type: "novel", Name: "n", Payload: []byte("x"), Time: time.Now()},
			journals.User(9, "kong"),
		}
		c := journals.OpenCursor(t, d.Journal, "t\xff", handler.Filter{Type: handler.User, Name: "na\x00me"}, handler.Filter{Type: handler.User, Name: "kong"}, handler.Filter{Type: "novel"})
		journals.OpenCursor(t, d.Journal, "gone", handler.Filter{Type: handler.User, Name: ""})
		journals.MustAppend(t, d.Journal, events...)
		testkit.Want(t, "handed out", journals.Ready(t, c), []uint64{7, 0, 9})
		why := journal.BuriedInfo{Time: time.Now(), Status: 404, Reason: "answered 404", Answer: []byte("no\n")}
		if err := c.Bury(4, why); err != nil {
			t.Fatal(err)
		}
		d.Gap(3, "the reason")
		gap := time.Now()
		closeDisk(t, d)

		time.Sleep(time.Hour)
		d = openDir(t, cfg)
		var got []handler.Event
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
		journals.MustAppend(t, d.Journal, journals.User(10, "kong")) // before anybody opens the cursor
		c = journals.OpenCursor(t, d.Journal, "t\xff", handler.Filter{Type: handler.User, Name: "kong"})
		select {
		case <-c.Losses():
		default:
			t.Error("the loss is not told")
		}
		if s := c.Status(); s.Waiting != 3 || s.Lost != 3 || !s.Gap.Since.Equal(gap) || s.Gap.Reason != "the reason" || s.Gap.Watermark == 0 || s.Buried != 1 || !s.Oldest.Equal(events[0].Time) {
			t.Errorf("%+v", s)
		}
		if diff := cmp.Diff([]journal.Buried{{Seq: 4, Event: events[3], BuriedInfo: why}}, c.Buried(), instants); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		testkit.Want(t, "handed out again", journals.Ready(t, c), []uint64{7, 9, 10})
		testkit.Want(t, "of one Lamport time", journals.LTimes(t, d.ByLTime(handler.Query, 8, 8)), []uint64{8})
		if err := d.Append(events[0], events[1]); err != nil {
			t.Error(err)
		}
		testkit.Want(t, "head after a replay", d.Head(), 6)
		testkit.Want(t, "duplicates", d.Status().Duplicates, 2)
		testkit.Want(t, "waiting for a target not served", journals.OpenCursor(t, d.Journal, "gone", handler.Filter{Type: handler.User, Name: ""}).Status().Waiting, 3)
	})
}

func TestDiskForget(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), Limits: journal.Config{MaxEvents: 1}}
	d := openDir(t, cfg)
	c := journals.OpenCursor(t, d.Journal, "a")
	journals.OpenCursor(t, d.Journal, "ab").Close()
	journals.MustAppend(t, d.Journal, journals.User(1, ""), journals.User(2, ""), journals.User(3, ""))
	if _, err := c.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Bury(1, journal.BuriedInfo{}), c.Close(), d.Forget("a"), d.Forget("never")); err != nil {
		t.Fatal(err)
	}
	closeDisk(t, d)
	r, err := CheckDir(cfg.Dir)
	if err != nil || len(r.Targets) != 1 || r.Targets[0].Name != "ab" || r.Targets[0].Waiting != 3 || r.Events != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	d = openDir(t, cfg)
	testkit.Want(t, "targets", d.Targets(), []string{"ab"})
	if err := d.Forget("ab"); err != nil { // that nobody has opened
		t.Fatal(err)
	}
	closeDisk(t, d)
	if r, err = CheckDir(cfg.Dir); err != nil || len(r.Targets) != 0 || r.Events != 1 || r.First != 3 || r.Head != 3 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestDiskDurable(t *testing.T) {
	hold := &brokenStore{}
	d := openDir(t, Config{Dir: t.TempDir(), wrap: hold.wrap})
	durable := func(seq, ltime uint64) {
		t.Helper()
		if s, l := d.Durable(); s != seq || l != ltime {
			t.Errorf("durable: %d, Lamport time %d, want %d, %d", s, l, seq, ltime)
		}
	}
	durable(0, 0)
	journals.MustAppend(t, d.Journal, journals.User(10, ""), handler.NewQuery(99, "", nil, time.Now()))
	mustSync(t, d)
	durable(2, 10)
	hold.block()
	journals.MustAppend(t, d.Journal, journals.User(20, ""))
	durable(2, 10)
	journals.MustAppend(t, d.Journal, journals.User(8, "late"))
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
	d = openDir(t, Config{Dir: dir, Limits: journal.Config{MaxEvents: 1}})
	durable(4, 20)
	journals.MustAppend(t, d.Journal, journals.User(30, ""))
	mustSync(t, d) // the history has let go of 20
	journals.MustAppend(t, d.Journal, journals.User(25, "late"))
	closeDisk(t, d)
	d = openDir(t, Config{Dir: dir})
	durable(6, 30)
}

// A crash between the parts of a commit leaves a file whose header tells of no
// Lamport time that is not there.
func TestDiskCommitsInParts(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, Config{Dir: dir})
	journals.MustAppend(t, d.Journal, journals.User(7, "")) // the highest of the first part comes from before
	closeDisk(t, d)
	s, err := openStore(filepath.Join(dir, journalFile), true)
	if err != nil {
		t.Fatal(err)
	}
	const commitEvents = 5000 // that one transaction takes
	const events = 2*commitEvents + 1
	b := &journal.Changes{Header: journal.Header{Head: events + 1, First: 1, LTime: 99}, Cursors: []journal.CursorChange{{Name: "a", State: journal.CursorState{
		Position: events + 1, Epochs: []journal.FilterEpoch{{From: 1}},
	}}}}
	for i := range uint64(events) {
		e := handler.NewQuery(1000, "", nil, time.Now())
		if i >= commitEvents {
			e = journals.User(9, "")
		}
		e.ID = "" // else all are one
		b.Entries = append(b.Entries, &journal.Entry{Record: journal.Record{Seq: i + 2, Event: e}})
	}
	var ltimes []uint64
	for part := range b.Parts() {
		if err := s.commit(part); err != nil {
			t.Fatal(err)
		}
		c, _, err := readFile(filepath.Join(dir, journalFile))
		if err != nil || len(c.problems) > 0 {
			t.Fatal(c.problems, err)
		}
		ltimes = append(ltimes, c.Header.LTime)
		testkit.Want(t, "the cursor is there", len(c.Targets) == 1, len(ltimes) == 3)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "Lamport times", ltimes, []uint64{7, 9, 99})
	s2, ltime := openDir(t, Config{Dir: dir}).Durable()
	testkit.Want(t, "durable", []uint64{s2, ltime}, []uint64{events + 1, 99})
}

func TestDiskInUse(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, Config{Dir: dir})
	_, err := Open(Config{Dir: dir})
	used, ok := errors.AsType[*InUseError](err)
	if !ok || used.PID != os.Getpid() || used.Host != "" || !strings.Contains(err.Error(), dir) {
		t.Errorf("%v", err)
	}
	// In two containers both may be the first process.
	lock := filepath.Join(dir, lockFile)
	if err := os.WriteFile(lock, []byte("1\nweb-2\x1b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), `in use by process 1 on host web-2\x1b: stop`) {
		t.Errorf("%v", err)
	}
	if _, err := CheckDir(dir); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("%v", err)
	}
	if _, err := d.Cursor(strings.Repeat("x", handler.MaxTargetName+1), journal.CursorConfig{}); err == nil {
		t.Error("a name of any length will do")
	}
	closeDisk(t, d)
	if err := d.Append(journals.User(1, "")); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("%v", err)
	}
	closeDisk(t, openDir(t, Config{Dir: dir}))
	if _, err := CheckDir(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// A check leaves a directory as it is, to the byte, and needs no right to write.
func TestCheckChangesNothing(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, Config{Dir: dir})
	closeDisk(t, d)
	lock := filepath.Join(dir, lockFile)
	state := func() (out []string) {
		t.Helper()
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			data, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, f.Name()+" "+string(data))
		}
		return out
	}
	check := func() {
		t.Helper()
		before := state()
		if _, err := CheckDir(dir); err != nil {
			t.Errorf("%v", err)
		}
		testkit.Want(t, "the directory", state(), before)
	}
	if err := os.WriteFile(lock, []byte("12345\n"), 0o400); err != nil {
		t.Fatal(err)
	}
	check()
	if err := os.Remove(lock); err != nil {
		t.Fatal(err)
	}
	check()
}

func TestDiskMetrics(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	broken := &brokenStore{}
	cfg := Config{Dir: t.TempDir(), Metrics: reg, wrap: broken.wrap, Limits: journal.Config{MaxEvents: 2}}
	d := openDir(t, cfg)
	e := journals.User(1, "")
	journals.MustAppend(t, d.Journal, e, e, journals.User(2, ""), journals.User(3, ""))
	mustSync(t, d)
	broken.fail(errors.New("no space"))
	journals.MustAppend(t, d.Journal, journals.User(4, ""))
	testkit.WaitFor(t, "a failure", func() bool { return d.Status().Failures > 0 })
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
	testkit.Want(t, "metrics", got, map[string]float64{
		"agentctl_journal_degraded":         1,
		"agentctl_journal_degraded_total":   1,
		"agentctl_journal_unwritten_events": 1,
		"agentctl_journal_duplicates_total": 1,
	})
	broken.mend()
	closeDisk(t, d)
	openDir(t, cfg) // registers again
}
