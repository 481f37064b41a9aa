package files

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
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

// Somebody puts links in the places of the agent's own files. Nothing is written through
// them, nor read.
func TestNoLinkIsFollowed(t *testing.T) {
	dir := t.TempDir()
	victim, path := filepath.Join(dir, "victim"), filepath.Join(dir, "f")
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{path, path + ".new"} {
		if err := os.Symlink(victim, link); err != nil {
			t.Fatal(err)
		}
	}
	for _, flag := range []int{os.O_RDONLY, os.O_RDWR | os.O_CREATE, os.O_RDWR | os.O_TRUNC} {
		_, err := OpenOwn(path, flag, 0o600)
		if _, ok := errors.AsType[*NotOwnError](err); !ok || !strings.Contains(err.Error(), path+" is a symbolic link") {
			t.Errorf("flags %#x: %v", flag, err)
		}
	}
	if data, err := ReadOwn(path); err == nil {
		t.Errorf("read %q through a link", data)
	}
	if err := Replace(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if data, err := ReadOwn(path); err != nil || string(data) != "new" {
		t.Errorf("the file has %q, %v", data, err)
	}
	if data, err := os.ReadFile(victim); err != nil || string(data) != "precious" {
		t.Errorf("the victim has %q, %v", data, err)
	}
	if _, err := OpenOwn(dir, os.O_RDONLY, 0); err == nil || !strings.Contains(err.Error(), "not an ordinary file") {
		t.Errorf("a directory: %v", err)
	}
}
