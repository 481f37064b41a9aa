package disk

import (
	"bytes"
	"slices"
	"testing"

	"agentctl/handler/journal"
)

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
