package testkit

import (
	"os"
	"strconv"
	"testing"
)

// Setting is a number in the environment, for a test that scripts run at length.
func Setting(t *testing.T, env string, otherwise int) int {
	t.Helper()
	v := os.Getenv(env)
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		t.Fatalf("%s: %q is not a number above 0", env, v)
	}
	return n
}
