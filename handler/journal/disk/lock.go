package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"agentctl/agent/files"
	"agentctl/handler/text"
)

// lockFile holds the lock of a data directory. It has the holder's process number and
// the name of its host, a line each. It stays when the process ends: only the lock
// counts.
const lockFile = "owner.pid"

// maxLockText is how much of a lock file is read, in bytes.
const maxLockText = 300

// InUseError is a data directory that another process works on.
type InUseError struct {
	dir  string
	pid  int    // of the other process; 0 if it is not known
	host string // of the other process, if it is not this host; else ""
}

func (e *InUseError) Error() string {
	who := "another process"
	if e.pid != 0 {
		who = fmt.Sprintf("process %d", e.pid)
	}
	if e.host != "" { // a container has a name of its own, and its first process the number 1
		who += " on host " + text.Excerpt(e.host, maxLockText)
	}
	return fmt.Sprintf("data directory %s is in use by %s: stop that one, or choose another directory", e.dir, who)
}

var errLocked = errors.New("locked")

// lockDir takes the lock of a directory. The file that it returns holds the lock until
// unlockDir, or the end of the process.
func lockDir(dir string) (*os.File, error) {
	f, err := files.OpenOwn(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := tryLock(f); err != nil {
		defer f.Close()
		return nil, lockError(dir, f, err)
	}
	// On a full disk the lock counts all the same; only its holder's name fails.
	if err := f.Truncate(0); err == nil {
		host, _ := os.Hostname() // "" if it has none
		_, _ = f.WriteAt(fmt.Appendf(nil, "%d\n%s\n", os.Getpid(), host), 0)
	}
	return f, nil
}

func unlockDir(f *os.File) error {
	unlock(f)
	return f.Close()
}

// peekLock is lockDir for a caller that only reads, perhaps on a read-only file system.
// It writes nothing. If there is no lock file, no process works there; the result is
// nil then.
func peekLock(dir string) (*os.File, error) {
	f, err := files.OpenOwn(filepath.Join(dir, lockFile), os.O_RDONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := tryLock(f); err != nil {
		defer f.Close()
		return nil, lockError(dir, f, err)
	}
	return f, nil
}

// lockError says why the lock of f cannot be taken.
func lockError(dir string, f *os.File, err error) error {
	if !errors.Is(err, errLocked) {
		return fmt.Errorf("lock of data directory %s: %w", dir, err)
	}
	text, _ := io.ReadAll(io.LimitReader(f, maxLockText)) // if it cannot be read, the holder has no name
	first, second, _ := strings.Cut(string(text), "\n")
	used := &InUseError{dir: dir, host: strings.TrimSpace(second)}
	used.pid, _ = strconv.Atoi(strings.TrimSpace(first))
	if ours, err := os.Hostname(); err == nil && ours == used.host {
		used.host = ""
	}
	return used
}
