package quick

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"agentctl/rpcclient"
)

// serve answers one connection on a listener: with text, once all requests of
// an event have come.
func serve(t *testing.T, ln net.Listener, e *event, text string) {
	t.Helper()
	requests, _ := e.requests()
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := ln.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		got := make([]byte, len(requests))
		if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, requests) {
			t.Errorf("got %x, %v", got, err)
		}
		io.WriteString(conn, text)
	}()
	t.Cleanup(func() { <-done })
}

func TestRun(t *testing.T) {
	const well, refused = "\x82\xa5Error\xa0\xa3Seq", "\x82\xa5Error\xa2no\xa3Seq"
	none := func(string) string { return "" }
	for name, c := range map[string]struct {
		answer string
		line   string
		code   int
		done   bool
	}{
		"taken":            {well + "\x01" + well + "\x02", "Event 'kong' dispatched! Coalescing enabled: true", 0, true},
		"refused":          {well + "\x01" + refused + "\x02", "", 0, false},
		"handshake failed": {refused + "\x01" + refused + "\x02", "", 0, false},
		"no answer":        {well + "\x01", "Error sending event: event: no answer from the agent at ADDR: EOF (the command may or may not have taken effect)", 1, true},
		"nonsense":         {well + "\x01" + "HTTP/1.1 400 Bad Request", "Error sending event: event: no answer from the agent at ADDR: not the answer of an agent (the command may or may not have taken effect)", 1, true},
	} {
		for _, network := range []string{"tcp4", "unix"} {
			addr := "127.0.0.1:0"
			if network == "unix" {
				addr = filepath.Join(t.TempDir(), "rpc")
			}
			ln, err := net.Listen(network, addr)
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			if addr = ln.Addr().String(); network == "unix" {
				addr = "unix:" + addr
			}
			args := []string{"agentctl", "event", "-rpc-addr=" + addr, "kong", "x"}
			e, ok := parse(args, none)
			if !ok {
				t.Fatal(args)
			}
			serve(t, ln, e, c.answer)
			line, code, done := run(args, none)
			want := string(bytes.ReplaceAll([]byte(c.line), []byte("ADDR"), []byte(addr)))
			if line != want || code != c.code || done != c.done {
				t.Errorf("%s over %s: %q, %d, %v, want %q, %d, %v", name, network, line, code, done, want, c.code, c.done)
			}
		}
	}
	if _, _, done := run([]string{"agentctl", "event", "-rpc-addr=127.0.0.1:1", "kong"}, none); done {
		t.Error("nobody listens, and it was done")
	}
	if timeout*time.Second != rpcclient.DefaultTimeout {
		t.Errorf("the time limit is %v s, that of the client %v", timeout, rpcclient.DefaultTimeout)
	}
}

// A limit on reading ends with a reason that says so.
func TestNoAnswerInTime(t *testing.T) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fds[0])
	defer syscall.Close(fds[1])
	limit := syscall.NsecToTimeval(int64(time.Millisecond))
	if err := syscall.SetsockoptTimeval(fds[0], syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &limit); err != nil {
		t.Fatal(err)
	}
	_, err = readAnswer(socket(fds[0]), 1)
	if err == nil || reason(err) != " within 10s" {
		t.Errorf("got %v, %q", err, reason(err))
	}
	if got := reason(io.EOF); got != ": EOF" {
		t.Errorf("another reason: %q", got)
	}
}

// The arguments are those of package os, the empty one and a long one too.
func TestArguments(t *testing.T) {
	if os.Getenv("AGENTCTL_TEST_ARGUMENTS") != "" {
		got, ok := arguments()
		if !ok || !slices.Equal(got, os.Args) {
			t.Errorf("got %.200q, %v; want %.200q", got, ok, os.Args)
		}
		return
	}
	for _, args := range [][]string{nil, {"event", "kong", ""}, {"", "", "x"}, {"event", strings.Repeat("long ", 2000), "\n"}} {
		cmd := exec.Command(os.Args[0], append([]string{"-test.run=^TestArguments$", "--"}, args...)...)
		cmd.Env = append(os.Environ(), "AGENTCTL_TEST_ARGUMENTS=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%.200q: %v\n%s", args, err, out)
		}
	}
}
