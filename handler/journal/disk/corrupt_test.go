package disk

import (
	"bytes"
	"errors"
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
