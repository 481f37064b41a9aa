package main

import (
	"flag"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// raceEnv is the variable that the race detector reads, unraced the setting for
// monitor, query and reachability: the client of serf's that they are made of
// closes a channel which it may be sending on.
const (
	raceEnv = "GORACE"
	unraced = "report_bugs=0 atexit_sleep_ms=0"
)

// TestMain puts this program, as agentctl, on the PATH of scripts and of the
// tests that start it as a process: the test binary itself, so also with -race.
func TestMain(m *testing.M) {
	// With -race a program sleeps for a second before it exits, unless told not to.
	if err := os.Setenv(raceEnv, "atexit_sleep_ms=0"); err != nil {
		panic(err)
	}
	// These tests wait for processes far more than they compute. A -parallel
	// on the command line still wins, since it is parsed later.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){"agentctl": main})
}

// pollLimit is how long a condition may take to come true. It is generous:
// a busy machine must not fail a test.
const pollLimit = 60 * time.Second

// poll waits until cond holds and reports false where it never did.
func poll(cond func() bool) bool { return pollFor(pollLimit, cond) }

// pollFor is poll with a limit of one's own.
func pollFor(d time.Duration, cond func() bool) bool { return pollAt(d, 20*time.Millisecond, cond) }

// pollAt is pollFor that looks at intervals of one's own.
func pollAt(d, interval time.Duration, cond func() bool) bool {
	limit := time.NewTimer(d)
	defer limit.Stop()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if cond() {
			return true
		}
		select {
		case <-tick.C:
		case <-limit.C:
			return cond()
		}
	}
}

// eventually fails the test where cond does not come true.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	if !poll(cond) {
		t.Fatalf("after %v still not so: %s", pollLimit, what)
	}
}

// setting is a number of a test that scripts run with a larger one.
func setting(t *testing.T, env string, otherwise int) int {
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

// portIsFree returns an error where a port of loopback is in use, for TCP or UDP.
func portIsFree(port int) error {
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer ln.Close()
	conn, err := net.ListenPacket("udp", addr)
	if err != nil {
		return err
	}
	return conn.Close()
}
