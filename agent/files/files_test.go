package files

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, text := range []string{"first", "second, which is longer", "3"} {
		if err := Replace(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("the file has %q, %v, want %q", got, err, text)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v, want mode 0600", info, err)
	}
	if err := Replace(filepath.Join(dir, "none", "f"), nil); err == nil {
		t.Error("a file in no folder can be written")
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("the folder has %v, want the one file", left)
	}
}

// That the names survive a power cut is tested where a disk forgets, in package disk.
func TestSyncPath(t *testing.T) {
	dir := t.TempDir()
	if err := SyncPath(filepath.Join(dir, "new")); err != nil {
		t.Error(err)
	}
	if err := SyncPath(filepath.Join(dir, "none", "new")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory above is not there: %v", err)
	}
}
