package testkit

import (
	"fmt"
	"os"
	"testing"
)

// NotRunEnv names a file that gets a line for each test that cannot run on this
// machine. scripts/check.sh sets it, and prints the lines at its end.
const NotRunEnv = "AGENTCTL_TEST_NOT_RUN"

// NotRun skips a test that needs what this machine does not have or allow. The
// text says what that is.
func NotRun(t testing.TB, format string, args ...any) {
	t.Helper()
	why := fmt.Sprintf(format, args...)
	if path := os.Getenv(NotRunEnv); path != "" {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(f, "%s: %s\n", t.Name(), why); err != nil {
			t.Error(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Skip("not run here: " + why)
}
