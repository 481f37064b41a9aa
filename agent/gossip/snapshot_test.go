package gossip

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSnapshotClockIsTheLastWord(t *testing.T) {
	t.Parallel()
	long := "alive: a 127.0.0.1:1\n" + strings.Repeat("coordinate: x\n", 1000)
	for name, c := range map[string]struct {
		text  string
		ltime uint64
		want  string
	}{
		"no file":                {"", 1000, "event-clock: 488\n"},
		"behind what serf wrote": {"clock: 3\nevent-clock: 900\n", 600, "clock: 3\nevent-clock: 900\nevent-clock: 88\n"},
		"behind a leave":         {"event-clock: 900\nleave\n", 600, "event-clock: 900\nleave\nevent-clock: 88\n"},
		"not below zero":         {"", 512, "event-clock: 0\n"},
		"a line cut off":         {"clock: 3\nevent-clock: 1234567890123456789", 513, "clock: 3\nevent-clock: 1\n"},
		"nothing but a cut line": {"event-cl", 513, "event-clock: 1\n"},
		"a long file":            {long, 513, long + "event-clock: 1\n"},
		"a long cut line":        {"clock: 3\nalive: " + strings.Repeat("x", 9000), 513, "clock: 3\nevent-clock: 1\n"},
	} {
		path := filepath.Join(t.TempDir(), "snapshot")
		if c.text != "" {
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := writeSnapshotClock(path, c.ltime); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
	}
}

func TestSnapshotClockNeedsAFile(t *testing.T) {
	t.Parallel()
	if err := writeSnapshotClock(t.TempDir(), 1); err == nil {
		t.Error("a folder was taken for a snapshot")
	}
}
