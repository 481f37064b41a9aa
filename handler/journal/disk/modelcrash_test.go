package disk

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"agentctl/handler/journal"
)

// crasher keeps a copy of the file after each commit, and the model's states
// since the last Sync: what is opened from a copy must be one of those.
type crasher struct {
	store
	path string

	mu     sync.Mutex
	copies [][]byte
	states []*journalModel
}

func (c *crasher) commit(changes *journal.Changes) error {
	if err := c.store.commit(changes); err != nil {
		return err
	}
	return c.copy()
}

func (c *crasher) copy() error {
	file, err := os.ReadFile(c.path)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.copies = append(c.copies, file)
	return err
}

// openDisk opens the journal in a directory, and its targets' cursors.
func (r *modelRun) openDisk(t *rapid.T, dir string) *Disk {
	c := &crasher{path: filepath.Join(dir, journalFile)}
	d, err := Open(Config{Dir: dir, Limits: r.limits(), NoSync: true, CloseTimeout: 10 * time.Minute, wrap: func(s store) store {
		c.store = s
		return c
	}})
	if err != nil {
		t.Fatal(err)
	}
	r.j, r.kept, r.crash, r.cursors = d.Journal, d, c, map[string]*journal.Cursor{}
	return d
}

func (r *modelRun) openAll(t *rapid.T) {
	for name, m := range r.model.targets {
		m.open(r.model, m.cfg)
		r.open(t, name, m.cfg)
	}
}

func (r *modelRun) sync(t *rapid.T) {
	if err := r.kept.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := r.crash
	c.mu.Lock()
	defer c.mu.Unlock()
	c.copies = c.copies[len(c.copies)-1:]
	c.states = []*journalModel{r.model.clone()}
}

// As with Journal, and besides the journal is closed and opened, and opened
// from what a commit some time after the last Sync left.
func TestDiskAgainstModel(t *testing.T) {
	base := t.TempDir()
	dirs := 0
	newDir := func() string {
		dirs++
		dir := filepath.Join(base, fmt.Sprint(dirs))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	rapid.Check(t, func(t *rapid.T) {
		r := &modelRun{
			model:      &journalModel{targets: map[string]*targetModel{}},
			maxPending: rapid.IntRange(1, 12).Draw(t, "max pending"),
		}
		begin := func(dir string) {
			r.openDisk(t, dir)
			if err := r.crash.copy(); err != nil {
				t.Fatal(err)
			}
		}
		dir := newDir()
		begin(dir)
		defer func() { r.j.Close() }()
		actions := r.actions()
		maps.Copy(actions, map[string]func(*rapid.T){
			"sync": r.sync,
			"restart": func(t *rapid.T) {
				if err := r.j.Close(); err != nil {
					t.Fatal(err)
				}
				r.model = r.model.clone()
				begin(dir)
				r.openAll(t)
			},
			"crash": func(t *rapid.T) {
				r.crash.mu.Lock()
				copies, states := r.crash.copies, r.crash.states
				r.crash.mu.Unlock()
				if err := r.j.Close(); err != nil {
					t.Fatal(err)
				}
				dir = newDir()
				file := copies[rapid.IntRange(0, len(copies)-1).Draw(t, "copy")]
				if err := os.WriteFile(filepath.Join(dir, journalFile), file, 0o600); err != nil {
					t.Fatal(err)
				}
				begin(dir)
				var diffs []string
				for _, state := range append(states, r.model.clone()) {
					r.model = state
					diff := r.reopened(t)
					if diff == "" {
						return
					}
					diffs = append(diffs, diff)
				}
				t.Fatalf("after a crash the journal is none of what it was: %q", diffs)
			},
		})
		t.Repeat(actions)
	})
}

// reopened compares the model with a journal just opened, whose cursors are
// all closed, and opens them if it is the same.
func (r *modelRun) reopened(t *rapid.T) string {
	if diff := r.model.difference(r.j, nil); diff != "" {
		return diff
	}
	r.openAll(t)
	return ""
}
