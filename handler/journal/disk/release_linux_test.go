package disk

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

// mapped returns how many bytes of a file's mapping are in this process' memory.
func mapped(t *testing.T, path string) (resident int64) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	of := false
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if !strings.HasSuffix(fields[0], ":") { // the head of a mapping
			of = fields[len(fields)-1] == path
		}
		var kib int64
		if n, _ := fmt.Sscanf(line, "Rss: %d kB", &kib); of && n == 1 {
			resident += kib << 10
		}
	}
	return resident
}

// A process that goes on from a large file does not have all of it in its memory, though it
// has read all of it.
func TestFileIsNotInMemory(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), NoSync: true}
	d := openDir(t, cfg)
	payload := bytes.Repeat([]byte("x"), 3000)
	for i := range uint64(2000) {
		journals.MustAppend(t, d.Journal, handler.NewUser(i, "kong", payload, journals.User(i, "kong").Time))
	}
	testkit.MustClose(t, d)
	path := filepath.Join(cfg.Dir, journalFile)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	d = openDir(t, cfg)
	if got := mapped(t, path); got > info.Size()/4 {
		t.Errorf("%d of the file's %d bytes are in memory", got, info.Size())
	}
	// After so many commits, or large ones, it is done once more; until then the file is touched again.
	testkit.MustClose(t, d)
	s, err := openStore(path, true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	few := &journal.Changes{Header: journal.Header{Head: 2000, First: 1, LTime: 1999}}
	many := &journal.Changes{Header: few.Header}
	for len(many.Deleted) < 50_000 {
		many.Deleted = append(many.Deleted, 1) // the history let go of it, with so many others
	}
	for what, c := range map[string]struct {
		touched int
		changes *journal.Changes
	}{"many commits": {releaseAfter - 1, few}, "a large commit": {0, many}} {
		s.touched = c.touched
		if err := s.db.View(func(tx *bbolt.Tx) error {
			return tx.Bucket(eventsBucket).ForEach(func(_, v []byte) error { return nil })
		}); err != nil {
			t.Fatal(err)
		}
		if got := mapped(t, path); got < info.Size()/2 {
			t.Fatalf("%d of the file's %d bytes are in memory after reading it", got, info.Size())
		}
		if err := s.commit(c.changes); err != nil {
			t.Fatal(err)
		}
		if got := mapped(t, path); got > info.Size()/4 {
			t.Errorf("%d of the file's %d bytes are in memory after %s", got, info.Size(), what)
		}
		if s.touched != 0 {
			t.Errorf("%d pages are left to release after %s", s.touched, what)
		}
	}
}
