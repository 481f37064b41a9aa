package testkit

import (
	"os"
	"strconv"
	"testing"
)

// LongEnv makes system tests run at length, unless it is empty. "scripts/check.sh
// -all" sets it.
const LongEnv = "AGENTCTL_TEST_LONG"

// Long reports whether system tests are to run at length.
func Long() bool { return os.Getenv(LongEnv) != "" }

// Setting is a number of a system test, such as how often it kills an agent. It is
// short in the check, and long if the tests run at length. A variable of the
// environment overrides both.
func Setting(t *testing.T, env string, short, long int) int {
	t.Helper()
	v := os.Getenv(env)
	if v == "" && Long() {
		return long
	} else if v == "" {
		return short
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		t.Fatalf("%s: %q is not a number above 0", env, v)
	}
	return n
}
