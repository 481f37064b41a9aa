package disk

import (
	"fmt"
	"path/filepath"
)

// CorruptError is a journal that cannot be read, or not in full. The file was not
// changed.
type CorruptError struct {
	path     string
	problems []string // one line each, at least one
}

func (e *CorruptError) Error() string {
	more := ""
	if n := len(e.problems) - 1; n > 0 {
		more = fmt.Sprintf(" (and %d more problems)", n)
	}
	return fmt.Sprintf("journal %s is damaged: %s%s. It was left as it is: see what is lost with \"agentctl check -data-dir=%s\", then restore it, or move it (nothing else) away to begin a new one: what waited in it is lost then, and an agent flushes each target once",
		e.path, e.problems[0], more, filepath.Dir(e.path))
}
