package proc

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Main runs a package of system tests, and exits. It puts agentctl on the PATH,
// and it waits until no other package of system tests runs on this machine. With
// -short it says that it leaves them out.
func Main(m *testing.M) {
	// What may run at the same time, within one test, waits far more than it computes.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	flag.Parse()
	if testing.Short() {
		fmt.Println("left out with -short: system tests")
		os.Exit(0)
	}
	status, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// insideEnv is set in what a package of system tests starts. A test may start its own
// program anew, in a network of its own.
const insideEnv = "AGENTCTL_TEST_INSIDE"

func run(m *testing.M) (status int, err error) {
	if os.Getenv(insideEnv) != "" {
		return m.Run(), nil
	}
	unlock, err := lock(filepath.Join(os.TempDir(), "agentctl-systest.lock"))
	if err != nil {
		return 0, err
	}
	defer unlock()
	dir, remove, err := install()
	if err != nil {
		return 0, err
	}
	defer remove()
	for name, value := range map[string]string{
		"PATH": dir + string(os.PathListSeparator) + os.Getenv("PATH"),
		// With -race a program sleeps for a second before it exits, unless told not to.
		RaceEnv:   "atexit_sleep_ms=0",
		insideEnv: "1",
	} {
		if err := os.Setenv(name, value); err != nil {
			return 0, err
		}
	}
	return m.Run(), nil
}
