package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// OpenOwn is os.OpenFile for a file that the agent makes for itself. It refuses a
// symbolic link, and all else that is no ordinary file. It never waits, as a named pipe
// would have it do.
func OpenOwn(path string, flag int, perm fs.FileMode) (*os.File, error) {
	// Where the system cannot refuse links itself, one may still come in between.
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, &NotOwnError{path, info.Mode()}
	}
	f, err := os.OpenFile(path, flag|ownFlags, perm)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &NotOwnError{path, info.Mode()}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// ReadOwn is os.ReadFile for such a file.
func ReadOwn(path string) ([]byte, error) {
	f, err := OpenOwn(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// NotOwnError is something else in the place of a file that the agent makes for itself.
type NotOwnError struct {
	path string
	mode fs.FileMode
}

func (e *NotOwnError) Error() string {
	what := "not an ordinary file"
	if e.mode&fs.ModeSymlink != 0 {
		what = "a symbolic link"
	}
	return fmt.Sprintf("%s is %s, and was not made by an agent: find out who put it there, and remove it", e.path, what)
}
