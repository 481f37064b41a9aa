package delivery

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
)

// TestRefused starts agents on journals that they must not touch: damaged, cut
// off, or another agent's. Each ends with status 1 and a line that says what to
// do, and leaves the file as it was.
func TestRefused(t *testing.T) {
	d := newDurable(t, "web1")
	d.start(t)
	d.gw.Refuse()
	publish := proc.NewPublisher(t, d.Node)
	const mark = "mark of an event "
	for i := range 300 {
		publish(mark + fmt.Sprintf("%03d", i) + strings.Repeat(".", 300))
	}
	testkit.WaitFor(t, "the journal is written", func() bool {
		return proc.StatusOf(t, d.Node).Waiting == 300 && proc.JournalMetric(t, d.Node, "unwritten_events") == 0
	})

	t.Run("in use", func(t *testing.T) {
		refused(t, d.data, fmt.Sprintf("in use by process %d: stop that one", d.Cmd.Process.Pid))
	})
	if n := proc.StatusOf(t, d.Node).Waiting; n != 300 {
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
	if err := d.gw.Answer(200); err != nil {
		t.Fatal(err)
	}
	testkit.WaitFor(t, "what waited is posted", func() bool { return len(d.gw.Taken()) == 300 })
}

// refused starts an agent on a data directory, which has to end with status 1
// and these words on one line.
func refused(t *testing.T, dir string, words ...string) {
	t.Helper()
	p, err := proc.Start(t.TempDir(), "refused", os.Environ(), "agentctl", proc.AgentArgs("refused", "-data-dir="+dir)...)
	if err != nil {
		t.Fatal(err)
	}
	proc.KillAtEnd(t, p)
	if status, err := p.Exit(); err != nil || status != 1 {
		t.Errorf("ended with status %d, %v, want 1", status, err)
	}
	printed := strings.ReplaceAll(p.Printed(), `\"`, `"`) // in the log, texts are quoted
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
