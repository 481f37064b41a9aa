package disk

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/varint"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

// someJournal makes the file of a journal with a bit of everything in it, and
// tells the events of it by their IDs.
func someJournal(t testing.TB, n uint64) (file []byte, events map[string]handler.Event) {
	t.Helper()
	dir := t.TempDir()
	d := openDir(t, Config{Dir: dir, NoSync: true, Limits: journal.Config{MaxEvents: int(n) - 10}})
	events = map[string]handler.Event{}
	a := journals.OpenCursor(t, d.Journal, "a", handler.Filter{Type: handler.User, Name: "kong"})
	for i := range n {
		e := handler.NewUser(i+1, []string{"kong", "other"}[i%2], bytes.Repeat([]byte{byte(i)}, int(i*37%3000)), time.Now())
		events[e.ID] = e
		journals.MustAppend(t, d.Journal, e)
		if i%50 == 49 {
			testkit.MustSync(t, d)
		}
	}
	for i := range min(20, n/2) {
		rec, err := a.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		switch i % 3 {
		case 0:
			a.Ack(rec.Seq, 200)
		case 1:
			a.Bury(rec.Seq, journal.Burial{Reason: "refused", Status: 400})
		}
	}
	journals.OpenCursor(t, d.Journal, "b").Close()
	journals.OpenCursor(t, d.Journal, "b", handler.Filter{Type: handler.User, Name: "other"})
	testkit.MustClose(t, d)
	file, err := os.ReadFile(filepath.Join(dir, journalFile))
	if err != nil {
		t.Fatal(err)
	}
	return file, events
}

// dirWith makes a data directory of a file.
func dirWith(t testing.TB, file []byte) (dir, path string) {
	t.Helper()
	dir = t.TempDir()
	path = filepath.Join(dir, journalFile)
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, path
}

// opens tells whether a file opens as a journal. Where not the error must be
// clear and the file unchanged; where it does, nothing is in it that was not
// appended.
func opens(t testing.TB, file []byte, events map[string]handler.Event) bool {
	t.Helper()
	dir, path := dirWith(t, file)
	d, err := Open(Config{Dir: dir, NoSync: true})
	if err != nil {
		corrupt, ok := errors.AsType[*CorruptError](err)
		if !ok || len(corrupt.problems) == 0 || !strings.Contains(err.Error(), path) ||
			!strings.Contains(err.Error(), "agentctl check -data-dir="+dir) || strings.Contains(err.Error(), "\n") {
			t.Errorf("not clear: %v", err)
		}
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, file) {
			t.Errorf("the file was changed: %v", err)
		}
		if _, err := Check(dir); err == nil {
			t.Error("Check finds nothing")
		}
		return false
	}
	defer d.Close()
	for rec, err := range d.Events(0) {
		e, ok := events[rec.Event.ID]
		if err != nil || !ok || e.Name != rec.Event.Name || !bytes.Equal(e.Payload, rec.Event.Payload) {
			t.Errorf("event %d was not appended so: %v", rec.Seq, err)
		}
	}
	// It must be possible to go on with it.
	c := journals.OpenCursor(t, d.Journal, "b", handler.Filter{Type: handler.User, Name: "other"})
	for range c.Status().Waiting {
		rec, err := c.Next(t.Context())
		if _, ok := events[rec.Event.ID]; err != nil || !ok {
			t.Fatalf("handed out %+v, %v", rec, err)
		}
		journals.Ack(t, c, rec.Seq)
	}
	journals.MustAppend(t, d.Journal, journals.User(1<<40, "new"))
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	return true
}

func TestDiskCutOff(t *testing.T) {
	file, events := someJournal(t, 500)
	r, err := Check(must(dirWith(t, file)))
	if err != nil || r.Events < 490 || len(r.Targets) != 2 || r.Targets[0].Buried != 7 {
		t.Fatalf("%+v, %v", r, err)
	}
	used := layoutOf(t, file).used
	rnd := rand.New(rand.NewPCG(1, 2))
	offsets := []int{0, 1, 4095, 4096, 8191, 8192, used - 1, used, len(file)}
	for range 100 {
		offsets = append(offsets, rnd.IntN(len(file)))
	}
	for _, n := range offsets {
		if opens(t, file[:n], events) != (n >= used) {
			t.Errorf("cut at %d of %d bytes, %d in use: opens %v", n, len(file), used, n < used)
		}
	}
}

func must(dir, _ string) string { return dir }

// One bit flipped anywhere: refused, or it was where nothing is, or it made
// the last commit one that never was.
func TestDiskFlippedBits(t *testing.T) {
	file, events := someJournal(t, 150)
	rnd := rand.New(rand.NewPCG(3, 4))
	refused := 0
	flip := func(at int) {
		damaged := slices.Clone(file)
		damaged[at] ^= 1 << rnd.IntN(8)
		if !opens(t, damaged, events) {
			refused++
		}
	}
	for range 150 {
		flip(rnd.IntN(len(file)))
	}
	if refused < 25 {
		t.Errorf("only %d of 150 refused", refused)
	}
	for at := range 80 { // the heads, and the headers of the first pages
		flip(at)
		flip(4096*(2+rnd.IntN(len(file)/4096-2)) + rnd.IntN(80))
	}
}

// A page that was copied over another has good checksums.
func TestDiskPagesAstray(t *testing.T) {
	file, events := someJournal(t, 150)
	rnd := rand.New(rand.NewPCG(5, 6))
	n := len(file) / 4096
	for range 100 {
		damaged := slices.Clone(file)
		from, to := rnd.IntN(n), 2+rnd.IntN(n-2)
		copy(damaged[to*4096:(to+1)*4096], file[from*4096:(from+1)*4096])
		opens(t, damaged, events)
	}
}

func TestDiskForeignFile(t *testing.T) {
	text := strings.Repeat("This is no journal. ", 1000)
	other := filepath.Join(t.TempDir(), "other")
	db, err := bbolt.Open(other, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("theirs"))
		return err
	}), db.Close()); err != nil {
		t.Fatal(err)
	}
	foreign, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string][]byte{"empty": {}, "text": []byte(text), "zeros": make([]byte, 1<<16), "bbolt": foreign} {
		if opens(t, file, nil) {
			t.Errorf("%s: opens", name)
		}
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, journalFile), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a directory: %v", err)
	}
}

// With valid pages and checksums, what does not fit together is damage, and a
// later version's value is told from it.
func TestDiskWrongContents(t *testing.T) {
	file, _ := someJournal(t, 50)
	for want, change := range map[string]func(*bbolt.Tx) error{
		"of at least": nil, // cut off below
		"should be":   func(tx *bbolt.Tx) error { return tx.Bucket(eventsBucket).Delete(seqKey(30)) },
		"event 30: its checksum": func(tx *bbolt.Tx) error {
			b := tx.Bucket(eventsBucket)
			return b.Put(seqKey(30), slices.Clone(b.Get(seqKey(31))))
		},
		"has no cursor": func(tx *bbolt.Tx) error { return tx.Bucket(targetsBucket).Delete(targetKey("a", kindCursor)) },
		"values of targets are there": func(tx *bbolt.Tx) error { // one of them is a burial, of which no other value tells
			c := tx.Bucket(targetsBucket).Cursor()
			c.First()
			return c.Delete()
		},
		`its part "targets" is not there`: func(tx *bbolt.Tx) error { return tx.DeleteBucket(targetsBucket) },
		"another program": func(tx *bbolt.Tx) error {
			return tx.Bucket(journalBucket).Delete(headerKey)
		},
		"beyond the head": func(tx *bbolt.Tx) error {
			b := tx.Bucket(journalBucket)
			h, n, err := decodeHeader(headerKey, b.Get(headerKey))
			h.Head, h.First = 9, 1
			return errors.Join(err, b.Put(headerKey, encodeHeader(headerKey, h, n)))
		},
		"of the history are there": func(tx *bbolt.Tx) error {
			b := tx.Bucket(eventsBucket)
			h, n, err := decodeHeader(headerKey, tx.Bucket(journalBucket).Get(headerKey))
			n.events--
			return errors.Join(err, b.Delete(seqKey(30)), tx.Bucket(journalBucket).Put(headerKey, encodeHeader(headerKey, h, n)))
		},
		"an unknown value": func(tx *bbolt.Tx) error { return tx.Bucket(journalBucket).Put([]byte("k"), nil) },
		"a target's value": func(tx *bbolt.Tx) error { return tx.Bucket(targetsBucket).Put([]byte("k"), nil) },
		"use the newer program": func(tx *bbolt.Tx) error {
			key := targetKey("a", kindCursor)
			return tx.Bucket(targetsBucket).Put(key, encoder{varint.Encoder{codecVersion + 1, 1, 2}}.seal(key))
		},
	} {
		dir, path := dirWith(t, file)
		if change == nil {
			if err := os.Truncate(path, 10_000); err != nil {
				t.Fatal(err)
			}
		} else {
			db, err := bbolt.Open(path, 0o600, boltOptions(true))
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(db.Update(change), db.Close()); err != nil {
				t.Fatal(err)
			}
		}
		for name, open := range map[string]func() error{
			"Open":  func() error { _, err := Open(Config{Dir: dir}); return err },
			"Check": func() error { _, err := Check(dir); return err },
		} {
			if err := open(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
	}
}

// A crash between the two heads' writes leaves one of them torn.
func TestDiskTornHead(t *testing.T) {
	file, events := someJournal(t, 50)
	for i := range 2 {
		damaged := slices.Clone(file)
		clear(damaged[i*4096+40 : (i+1)*4096])
		dir, _ := dirWith(t, damaged)
		r, err := Check(dir)
		if err != nil || !r.Torn || r.Events == 0 {
			t.Errorf("head %d: %+v, %v", i, r, err)
		}
		opens(t, damaged, events)
	}
	clear(file[:2*4096])
	if opens(t, file, events) {
		t.Error("opens without a head")
	}
}

func FuzzDecode(f *testing.F) {
	key := []byte("key")
	now := time.Now()
	for _, e := range []handler.Event{journals.User(1, "kong"), handler.NewMember(handler.MemberJoin, "m", []byte("x"), now), {Type: "other"}} {
		f.Add(encodeEvent(key, &e))
	}
	f.Add(encodeCursor(key, &journal.CursorState{Position: 3, Since: 9, Epochs: []journal.FilterEpoch{{From: 1, Filters: nil}, {From: 2, Filters: handler.Filters{{Type: handler.User, Name: "a"}}}}, Lost: 1, Gap: journal.Gap{Since: now, Reason: "r"}, SettledExceptions: []journal.Span{{From: 4, To: 4}, {From: 7, To: 9}}, LostSpans: []journal.Span{{From: 1, To: 2}}}))
	f.Add(encodeSeqs(key, []uint64{1, 2, 1 << 63}))
	f.Add(encodeHeader(key, journal.Header{Head: 9, First: 2, LTime: 5}, counts{8, 3}))
	f.Add(encodeBurial(key, &journal.Burial{Time: now, Status: -1, Reason: "r", Answer: []byte("a")}))
	f.Fuzz(func(t *testing.T, fuzzed []byte) {
		try := func(what string, value []byte, again func([]byte) ([]byte, error)) {
			out, err := again(value)
			if err != nil {
				return
			}
			// What was read is written so that it reads the same: numbers have
			// one shortest form, so from then on to the byte.
			twice, err := again(out)
			if err != nil || !bytes.Equal(out, twice) {
				t.Errorf("%s: %v\n%x\n%x", what, err, out, twice)
			}
		}
		// As it is, and with a good checksum: few would have one.
		for _, value := range [][]byte{fuzzed, encoder{slices.Clone(fuzzed)}.seal(key)} {
			try("event", value, func(v []byte) ([]byte, error) { e, err := decodeEvent(key, v); return encodeEvent(key, &e), err })
			try("cursor", value, func(v []byte) ([]byte, error) { s, err := decodeCursor(key, v); return encodeCursor(key, &s), err })
			try("seqs", value, func(v []byte) ([]byte, error) { s, err := decodeSeqs(key, v); return encodeSeqs(key, s), err })
			try("header", value, func(v []byte) ([]byte, error) { h, n, err := decodeHeader(key, v); return encodeHeader(key, h, n), err })
			try("burial", value, func(v []byte) ([]byte, error) { b, err := decodeBurial(key, v); return encodeBurial(key, &b), err })
		}
	})
}

// Whatever the file is, reading it ends, without a panic.
func FuzzReadContents(f *testing.F) {
	file, _ := someJournal(f, 30)
	f.Add([]byte{}, uint16(0))
	f.Add(slices.Repeat([]byte{0xff}, 40), uint16(2))
	f.Add([]byte{2, 0, 1, 0}, uint16(3))
	f.Fuzz(func(t *testing.T, patch []byte, at uint16) {
		damaged := slices.Clone(file)
		copy(damaged[int(at)*16%len(damaged):], patch)
		c := readContents(bytes.NewReader(damaged), int64(len(damaged)))
		c.report("x", 0)
		if len(c.problems) == 0 {
			journal.Restore(journal.Config{}, &c.State, journal.FileConfig{})
		}
	})
}

func TestCodec(t *testing.T) {
	key := []byte{1, 2}
	s := journal.CursorState{Position: 3, Since: 9, Epochs: []journal.FilterEpoch{{From: 2, Filters: nil}, {From: 4, Filters: handler.Filters{{Type: handler.User, Name: "a,b"}, {Type: "*"}}}}, Lost: 1, SettledExceptions: []journal.Span{{From: 4, To: 4}, {From: 7, To: 9}}, LostSpans: []journal.Span{{From: 1, To: 2}}, RefusedSpans: []journal.Span{{From: 7, To: 7}}}
	got, err := decodeCursor(key, encodeCursor(key, &s))
	if err != nil || fmt.Sprint(got) != fmt.Sprint(s) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := decodeCursor([]byte{1, 3}, encodeCursor(key, &s)); !errors.Is(err, errChecksum) {
		t.Errorf("under another key: %v", err)
	}
	for name, target := range map[string]string{"": "", "x": "x", "long": strings.Repeat("y", handler.MaxTargetName)} {
		got, kind, seq, ok := splitTargetKey(burialKey(target, 77))
		if got != target || kind != kindBurial || seq != 77 || !ok {
			t.Errorf("%s: %q %c %d %v", name, got, kind, seq, ok)
		}
	}
}

// A gap that an earlier version of this program wrote is one, and is flushed.
func TestGapOfVersion1(t *testing.T) {
	key := []byte("key")
	since := time.Unix(1e9, 0)
	for name, at := range map[string]time.Time{"gap": since, "none": {}} {
		b := encoder{varint.Encoder{1}}
		for _, v := range []uint64{1, 1, 1, 1, 0, 0, 5, 2} { // position, since, one filter epoch from 1 without filters, collapse, lost, expired
			b.Uint(v)
		}
		b.Time(at)
		for range 3 {
			b.spans(nil)
		}
		s, err := decodeCursor(key, b.seal(key))
		if err != nil || s.Lost != 5 || !s.Gap.Since.Equal(at) || (s.Gap.Reason == "") != at.IsZero() {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}
