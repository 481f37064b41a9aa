package disk

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
	"agentctl/scripts/testkit/lyingfs"
	"agentctl/scripts/testkit/smallfs"
)

const (
	killedDir = "AGENTCTL_TEST_KILLED_DIR"
	// powerCutsEnv says how often TestDiskPowerCut cuts the power.
	powerCutsEnv = "AGENTCTL_TEST_POWER_CUTS"
)

// TestKilledProcess is not a test by itself: TestDiskKilled runs it in a
// process of its own. It appends and acknowledges, tells what was synced, and
// goes on until it is killed.
func TestKilledProcess(t *testing.T) {
	dir := os.Getenv(killedDir)
	if dir == "" {
		return
	}
	d, err := Open(Config{Dir: dir, Limits: journal.Config{MaxEvents: 200}, CloseTimeout: 10 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	c := journals.OpenCursor(t, d.Journal, "a")
	for i := d.Head() + 1; ; i++ {
		journals.MustAppend(t, d.Journal, journals.User(i, "kong"))
		if i%10 != 0 { // each tenth waits for the next process
			for {
				rec, err := c.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if rec.Event.LTime == i {
					journals.Ack(t, c, rec.Seq)
					break
				}
			}
		}
		if i%7 == 0 {
			testkit.MustSync(t, d)
			fmt.Printf("synced %d\n", i)
		}
	}
}

// Killed at any moment: what was synced is there, in order, what was
// acknowledged before is settled, and what was not waits.
func TestDiskKilled(t *testing.T) {
	dir := t.TempDir()
	var left leftOpen
	for round := range 10 {
		left.wantSynced(t, dir, killedAfter(t, dir, 5+round*3, func() {}))
	}
}

// The same where the power fails at the kill, and the disk has only what was synced, and
// any part of what was not.
func TestDiskPowerCut(t *testing.T) {
	dir := t.TempDir()
	fs := lyingfs.Mount(t, dir, 100*time.Microsecond)
	if fs == nil {
		testkit.NotRun(t, "it needs Linux, and root that may mount a file system, for a disk that forgets")
	}
	var open leftOpen
	for round := range testkit.Setting(t, powerCutsEnv, 15, 200) {
		// Anew now and then: behind 1,000 that wait, acknowledged events come again.
		data := filepath.Join(dir, fmt.Sprint(round/20), "data")
		if round%20 == 0 {
			open = leftOpen{}
		}
		synced := killedAfter(t, data, 1+rand.IntN(20), func() { fs.Crash(rand.Float64()) })
		// The copy can be mapped by this process, which serves the file system.
		left := t.TempDir()
		if err := os.CopyFS(left, os.DirFS(data)); err != nil {
			t.Fatal(err)
		}
		open.wantSynced(t, left, synced)
	}
}

// killedAfter has TestKilledProcess write a journal, and kills it after so many lines and
// a moment. It calls atKill at once. The result is the newest event that was synced.
func killedAfter(t *testing.T, dir string, lines int, atKill func()) (synced uint64) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledProcess$")
	cmd.Env = append(os.Environ(), killedDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	printed := bufio.NewScanner(out)
	for range lines {
		if !printed.Scan() {
			t.Fatal("the process ended")
		}
		if _, err := fmt.Sscanf(printed.Text(), "synced %d", &synced); err != nil && !strings.HasPrefix(printed.Text(), "=== ") {
			t.Fatalf("%q: %v", printed.Text(), err)
		}
	}
	testkit.Pause(t.Context(), 3*time.Millisecond) // within a commit, or between two
	cmd.Process.Kill()
	atKill()
	cmd.Wait() // it was killed: that is its error
	return synced
}

// leftOpen are the events of processes that were killed which lie behind the last that
// was synced. They may be in the file, and their acknowledgements not: then they wait for
// ever, as no later process takes them.
type leftOpen struct {
	head uint64 // that the last process left
	mays []uint64
}

// wantSynced checks the journal that TestKilledProcess left.
func (l *leftOpen) wantSynced(t *testing.T, dir string, synced uint64) {
	t.Helper()
	d, err := Open(Config{Dir: dir, Limits: journal.Config{MaxEvents: 200}, CloseTimeout: 10 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	head := d.Head()
	if head < synced {
		t.Fatalf("head %d, and %d was synced", head, synced)
	}
	next := max(head, 200) - 199
	for rec, err := range d.Events(0) {
		if e := journals.User(next, "kong"); err != nil || rec.Seq != next || rec.Event.ID != e.ID || string(rec.Event.Payload) != string(e.Payload) {
			t.Fatalf("%+v, %v, want %d", rec, err, next)
		}
		next++
	}
	if next != head+1 {
		t.Fatalf("the events end before %d of %d", next, head)
	}
	waits := map[uint64]bool{}
	for _, seq := range journals.Pending(t, d.Journal, "a") {
		waits[seq] = true
		if seq%10 != 0 && seq <= synced && !slices.Contains(l.mays, seq) {
			t.Errorf("%d was acknowledged and synced with %d, and waits", seq, synced)
		}
	}
	for seq := uint64(10); seq <= synced; seq += 10 {
		if !waits[seq] {
			t.Errorf("%d was not acknowledged and does not wait", seq)
		}
	}
	for seq := max(synced, l.head) + 1; seq <= head; seq++ {
		l.mays = append(l.mays, seq)
	}
	l.head = head
	testkit.MustClose(t, d)
}

// errFull is what a store says that stands in for a full disk.
var errFull = errors.New("no space left on device")

// ENOSPC of a real file system where one may be mounted, else of a store that
// says so; then there is room again.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	broken := &brokenStore{}
	full, room := func() { broken.fail(errFull) }, broken.mend
	if fs := smallfs.Mount(t, dir); fs != nil {
		full, room = func() {}, fs.Grow // the journal itself fills it
	}
	lines := &testkit.LogBuffer{}
	cfg := Config{Dir: dir + "/data", Logger: lines.Logger(), wrap: broken.wrap}
	cfg.CloseTimeout = 10 * time.Minute
	d, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c := journals.OpenCursor(t, d.Journal, "a")
	journals.MustAppend(t, d.Journal, journals.User(1, ""))
	testkit.MustSync(t, d)
	full()
	payload := make([]byte, 8<<10)
	for i := uint64(2); i < 3000; i++ { // 24 MB
		journals.MustAppend(t, d.Journal, handler.NewUser(i, "kong", payload, time.Now()))
	}
	testkit.WaitFor(t, "degradation", func() bool { s := d.Status(); return s.Failures > 0 && s.Degraded })
	if s := d.Status(); !strings.Contains(s.Error, "no space left") {
		t.Errorf("%+v", s)
	}
	for i := uint64(1); i < 3000; i++ {
		rec, err := c.Next(t.Context())
		if err != nil || rec.Event.LTime != i {
			t.Fatal(rec.Seq, err)
		}
		if i < 1000 {
			journals.Ack(t, c, rec.Seq)
		}
	}
	room()
	testkit.MustSync(t, d)
	testkit.WaitFor(t, "recovery", func() bool { return !d.Status().Degraded })
	testkit.Want(t, "lines of failure", len(lines.With(t, "cannot be written")) > 0, true)
	testkit.MustClose(t, d)
	r, err := Check(cfg.Dir)
	if err != nil || r.Events != 2999 || r.Targets[0].Waiting != 2000 || r.Targets[0].Lost != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}
