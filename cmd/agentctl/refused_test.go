package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRefused starts agents on journals that they must not touch: damaged, cut
// off, or another agent's. Each ends with status 1 and a line that says what to
// do, and leaves the file as it was.
func TestRefused(t *testing.T) {
	t.Parallel()
	d := newDurable(t, "web1")
	d.start(t)
	d.gw.refuse()
	publish := newPublisher(t, d.node)
	const mark = "mark of an event "
	for i := range 300 {
		publish(mark + fmt.Sprintf("%03d", i) + strings.Repeat(".", 300))
	}
	eventually(t, "the journal is written", func() bool {
		return statusOf(t, d.node).Waiting == 300 && journalMetric(t, d.node, "unwritten_events") == 0
	})

	t.Run("in use", func(t *testing.T) {
		refused(t, d.data, fmt.Sprintf("in use by process %d: stop that one", d.cmd.Process.Pid))
	})
	if n := statusOf(t, d.node).Waiting; n != 300 {
		t.Errorf("beside another agent %d events wait, want 300", n)
	}

	d.mustDie(t)
	file, err := os.ReadFile(filepath.Join(d.data, "journal.db"))
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func() []byte{
		"flipped": func() []byte {
			// Every copy of an event's payload: the old ones are where nothing is.
			payload := []byte(mark + fmt.Sprintf("%03d", rand.IntN(300)))
			flipped := bytes.Clone(payload)
			flipped[rand.IntN(len(flipped))] ^= 1 << rand.IntN(8)
			if !bytes.Contains(file, payload) {
				t.Fatalf("the journal does not hold %q", payload)
			}
			return bytes.ReplaceAll(file, payload, flipped)
		},
		// A journal doubles its file when it has to, so more than half is in use.
		"cut off": func() []byte { return file[:rand.IntN(len(file)/2)] },
	} {
		t.Run(name, func(t *testing.T) {
			dir, damaged := t.TempDir(), damage()
			path := filepath.Join(dir, "journal.db")
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			refused(t, dir, "journal "+path+" is damaged: ", `"agentctl check -data-dir=`+dir)
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, damaged) {
				t.Errorf("the journal of %d bytes was changed: %v", len(damaged), err)
			}
		})
	}

	// The journal that was copied from is as good as before.
	d.start(t)
	if err := d.gw.answer(200); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what waited is posted", func() bool { return len(d.gw.taken()) == 300 })
}

// refused starts an agent on a data directory, which has to end with status 1
// and these words on one line.
func refused(t *testing.T, dir string, words ...string) {
	t.Helper()
	p, err := startProcess(t.TempDir(), "refused", os.Environ(), "agentctl", agentArgs("refused", "-data-dir="+dir)...)
	if err != nil {
		t.Fatal(err)
	}
	killAtEnd(t, p)
	if status, err := p.exit(); err != nil || status != 1 {
		t.Errorf("ended with status %d, %v, want 1", status, err)
	}
	printed := strings.ReplaceAll(p.printed(), `\"`, `"`) // in the log, texts are quoted
	for line := range strings.Lines(printed) {
		all := true
		for _, w := range words {
			all = all && strings.Contains(line, w)
		}
		if all {
			return
		}
	}
	t.Errorf("no line has %q in:\n%s", words, printed)
}
