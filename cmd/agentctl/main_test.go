package main

import (
	"flag"
	"os"
	"testing"

	"agentctl/scripts/testkit/proc"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain puts this program, as agentctl, on the PATH of scripts and of the
// tests that start it as a process: the test binary itself, so also with -race.
func TestMain(m *testing.M) {
	// With -race a program sleeps for a second before it exits, unless told not to.
	if err := os.Setenv(proc.RaceEnv, "atexit_sleep_ms=0"); err != nil {
		panic(err)
	}
	// These tests wait for processes far more than they compute. A -parallel
	// on the command line still wins, since it is parsed later.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){"agentctl": main})
}
