package disk

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

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
		why := journal.Burial{Time: time.Now(), Status: 404, Reason: "answered 404", Answer: []byte("no\n")}
		if err := c.Bury(4, why); err != nil {
			t.Fatal(err)
		}
		d.Gap(3, "the reason")
		gap := time.Now()
		testkit.MustClose(t, d)

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
		if diff := cmp.Diff([]journal.Buried{{Seq: 4, Event: events[3], Burial: why}}, c.Buried(), instants); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		testkit.Want(t, "handed out again", journals.Ready(t, c), []uint64{7, 9, 10})
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
	if err := errors.Join(c.Bury(1, journal.Burial{}), c.Close(), d.Forget("a"), d.Forget("never")); err != nil {
		t.Fatal(err)
	}
	testkit.MustClose(t, d)
	r, err := Check(cfg.Dir)
	if err != nil || len(r.Targets) != 1 || r.Targets[0].Name != "ab" || r.Targets[0].Waiting != 3 || r.Events != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	d = openDir(t, cfg)
	testkit.Want(t, "targets", d.Targets(), []string{"ab"})
	if err := d.Forget("ab"); err != nil { // that nobody has opened
		t.Fatal(err)
	}
	testkit.MustClose(t, d)
	if r, err = Check(cfg.Dir); err != nil || len(r.Targets) != 0 || r.Events != 1 || r.First != 3 || r.Head != 3 {
		t.Errorf("%+v, %v", r, err)
	}
}

// A crash between the parts of a commit leaves a file whose header tells of no
// Lamport time that is not there.
func TestDiskCommitsInParts(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, Config{Dir: dir})
	journals.MustAppend(t, d.Journal, journals.User(7, "")) // the highest of the first part comes from before
	testkit.MustClose(t, d)
	s, err := openStore(filepath.Join(dir, journalFile), true)
	if err != nil {
		t.Fatal(err)
	}
	const commitEvents = 5000 // that one transaction takes
	const events = 2*commitEvents + 1
	changes := &journal.Changes{Header: journal.Header{Head: events + 1, First: 1, LTime: 99}, Cursors: []journal.CursorChange{{Target: "a", State: journal.CursorState{
		Position: events + 1, Epochs: []journal.FilterEpoch{{From: 1}},
	}}}}
	for i := range uint64(events) {
		e := handler.NewQuery(1000, "", nil, time.Now())
		if i >= commitEvents {
			e = journals.User(9, "")
		}
		e.ID = "" // else all are one
		changes.Entries = append(changes.Entries, &journal.Entry{Record: journal.Record{Seq: i + 2, Event: e}})
	}
	var ltimes []uint64
	for part := range changes.Parts() {
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
