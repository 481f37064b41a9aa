package proc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// ProgramEnv names a folder that has the program as "agentctl", built with the race
// detector if the tests are, and in "plain" as its users have it. scripts/check.sh sets
// it, so that not every test builds the program anew.
const ProgramEnv = "AGENTCTL_TEST_PROGRAM_DIR"

// install returns a folder that has the program as "agentctl", and what removes it.
func install() (dir string, remove func(), err error) {
	if dir := os.Getenv(ProgramEnv); dir != "" {
		_, err := os.Stat(filepath.Join(dir, "agentctl"))
		return dir, func() {}, err
	}
	if dir, err = os.MkdirTemp("", "agentctl-"); err != nil {
		return "", nil, err
	}
	remove = func() { os.RemoveAll(dir) }
	if err := build(dir, buildFlags...); err != nil {
		remove()
		return "", nil, err
	}
	return dir, remove, nil
}

// build builds the program as DIR/agentctl.
func build(dir string, flags ...string) error {
	args := append([]string{"build", "-o", filepath.Join(dir, "agentctl")}, flags...)
	if out, err := exec.Command("go", append(args, "agentctl/cmd/agentctl")...).CombinedOutput(); err != nil {
		return fmt.Errorf("building agentctl: %w\n%s", err, out)
	}
	return nil
}

// BuildAs copies the program as its users have it, without the race detector, to a
// folder that any user can read. It links the program to a name there, and returns
// the path of the link.
func BuildAs(tb testing.TB, name string) string {
	tb.Helper()
	program, err := plain()
	if err != nil {
		tb.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "agentctl-")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "agentctl"), program, 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.Symlink("agentctl", filepath.Join(dir, name)); err != nil {
		tb.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// plain is the program without the race detector. A package of tests builds it once, if
// it is not there.
var plain = sync.OnceValues(func() ([]byte, error) {
	program, err := os.ReadFile(filepath.Join(os.Getenv(ProgramEnv), "plain", "agentctl"))
	if err == nil || !errors.Is(err, os.ErrNotExist) {
		return program, err
	}
	dir, err := os.MkdirTemp("", "agentctl-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := build(dir); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, "agentctl"))
})
