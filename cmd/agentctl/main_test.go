package main

import (
	"flag"
	"net"
	"os"
	"strconv"
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
