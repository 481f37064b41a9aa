package gossip

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"agentctl/agent/files"
	"agentctl/handler"
)

// mendSnapshot takes clocks that cannot be out of serf's snapshot. A program that
// believed them has written it. Serf would begin with such a clock, and find all events
// of members too old.
func mendSnapshot(path string) error {
	if path == "" {
		return nil
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	lines := strings.SplitAfter(string(b), "\n")
	mended := slices.DeleteFunc(slices.Clone(lines), func(line string) bool {
		name, number, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		t, err := strconv.ParseUint(number, 10, 64)
		return err == nil && t > handler.EndLTime && slices.Contains([]string{"clock", "event-clock", "query-clock"}, name)
	})
	if len(mended) == len(lines) {
		return nil
	}
	if err := files.Replace(path, []byte(strings.Join(mended, ""))); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	return nil
}
