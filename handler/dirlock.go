package handler

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// lockFile holds the lock of a data directory, and the number of the process
// that has it. It stays there when the process ends: only its lock counts.
const lockFile = "owner.pid"

// InUseError is a data directory that another process works on.
type InUseError struct {
	Dir string
	PID int // 0 when it is not known
}

func (e *InUseError) Error() string {
	who := "another process"
	if e.PID != 0 {
		who = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("data directory %s is in use by %s: stop that one, or choose another directory", e.Dir, who)
}

var errLocked = errors.New("locked")

// lockDir takes the lock of a directory. The file returned holds it: its
// closing, or the end of the process, gives it back.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := tryLock(f); err != nil {
		defer f.Close()
		if !errors.Is(err, errLocked) {
			return nil, fmt.Errorf("lock of data directory %s: %w", dir, err)
		}
		text, _ := io.ReadAll(io.LimitReader(f, 32)) // if it cannot be read, the holder has no name
		pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		return nil, &InUseError{Dir: dir, PID: pid}
	}
	// On a full disk the lock counts all the same; only its holder's name fails.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return f, nil
}
