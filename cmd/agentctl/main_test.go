package main

import (
	"errors"
	"flag"
	"net"
	"os"
	"strconv"
	"sync"
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
func pollFor(d time.Duration, cond func() bool) bool {
	limit := time.NewTimer(d)
	defer limit.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
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

var ports = struct {
	sync.Mutex
	given map[int]bool
}{given: map[int]bool{}}

// freePort returns a port of loopback that was free for TCP and UDP just now,
// and that it has not returned before.
func freePort() (int, error) {
	ports.Lock()
	defer ports.Unlock()
	for range 100 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		port := ln.Addr().(*net.TCPAddr).Port
		ln.Close()
		if !ports.given[port] && portIsFree(port) == nil {
			ports.given[port] = true
			return port, nil
		}
	}
	return 0, errors.New("no free port could be found")
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
