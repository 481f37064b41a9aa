package disk

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

func TestDiskInUse(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, Config{Dir: dir})
	_, err := Open(Config{Dir: dir})
	used, ok := errors.AsType[*InUseError](err)
	if !ok || used.pid != os.Getpid() || used.host != "" || !strings.Contains(err.Error(), dir) {
		t.Errorf("%v", err)
	}
	// In two containers both may be the first process.
	lock := filepath.Join(dir, lockFile)
	if err := os.WriteFile(lock, []byte("1\nweb-2\x1b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), `in use by process 1 on host web-2\x1b: stop`) {
		t.Errorf("%v", err)
	}
	if _, err := Check(dir); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("%v", err)
	}
	if _, err := d.Cursor(strings.Repeat("x", handler.MaxTargetName+1), journal.CursorConfig{}); err == nil {
		t.Error("a name of any length will do")
	}
	testkit.MustClose(t, d)
	if err := d.Append(journals.User(1, "")); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("%v", err)
	}
	testkit.MustClose(t, openDir(t, Config{Dir: dir}))
	if _, err := Check(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
