package disk

import (
	"os"
	"path/filepath"
	"testing"

	"agentctl/scripts/testkit"
)

// A check leaves a directory as it is, to the byte, and needs no right to write.
func TestCheckChangesNothing(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, Config{Dir: dir})
	testkit.MustClose(t, d)
	lock := filepath.Join(dir, lockFile)
	state := func() (out []string) {
		t.Helper()
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			data, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, f.Name()+" "+string(data))
		}
		return out
	}
	check := func() {
		t.Helper()
		before := state()
		if _, err := Check(dir); err != nil {
			t.Errorf("%v", err)
		}
		testkit.Want(t, "the directory", state(), before)
	}
	if err := os.WriteFile(lock, []byte("12345\n"), 0o400); err != nil {
		t.Fatal(err)
	}
	check()
	if err := os.Remove(lock); err != nil {
		t.Fatal(err)
	}
	check()
}
