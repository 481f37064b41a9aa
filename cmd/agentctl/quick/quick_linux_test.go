//go:build linux && (amd64 || arm64)

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
	"unsafe"
)

// serve answers one connection on a listener: the greeting and the event, once
// each has come whole. What comes behind them ends the connection.
func serve(t *testing.T, ln net.Listener, e *event, greeted, answer string) {
	t.Helper()
	greeting, last := e.greeting(nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := ln.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		for _, step := range []struct {
			want   []byte
			answer string
		}{{greeting, greeted}, {e.request(nil, last+seqStep), answer}} {
			got := make([]byte, len(step.want))
			n, err := io.ReadFull(conn, got)
			if n == 0 && answer == "" {
				return // the client sent no event
			}
			if err != nil || !bytes.Equal(got, step.want) {
				t.Errorf("got %x, %v", got, err)
			}
			io.WriteString(conn, step.answer)
		}
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("behind the event came %d bytes, %v", n, err)
		}
	}()
	t.Cleanup(func() { <-done })
}

func TestRun(t *testing.T) {
	const well, refused = "\x82\xa5Error\xa0\xa3Seq", "\x82\xa5Error\xa2no\xa3Seq"
	const taken = "Event 'kong' dispatched! Coalescing enabled: true"
	none := func(string) string { return "" }
	for name, c := range map[string]struct {
		greeted string
		answer  string // "": the event does not come
		line    string
		left    bool
	}{
		"taken":              {well + "\x02", well + "\x04", taken, false},
		"taken, with an ID":  {well + "\x02", "\x83\xa5Error\xa0\xa2ID\xa31-a\xa3Seq\x04", taken + "\nID: 1-a", false},
		"half an ID":         {well + "\x02", "\x83\xa5Error\xa0\xa2ID\xa31-", "", true},
		"refused":            {well + "\x02", refused + "\x04", "", true},
		"warned":             {well + "\x02", "\x83\xa5Error\xa0\xa3Seq\x04\xa7Warning\xa2so", "", true},
		"nonsense":           {well + "\x02", "HTTP/1.1 400 Bad Request", "", true},
		"more behind it":     {well + "\x02", well + "\x04" + well, "", true},
		"handshake failed":   {refused + "\x02", "", "", false},
		"handshake nonsense": {"HTTP/1.1 400 Bad Request", "", "", false},
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
			serve(t, ln, e, c.greeted, c.answer)
			want := c.line
			if want != "" {
				want += "\n"
			}
			line, sent := run(args, none)
			if string(line) != want || (sent != nil) != c.left {
				t.Errorf("%s over %s: %q, %+v, want %q, %v", name, network, line, sent, want, c.left)
			}
			if sent == nil {
				continue
			}
			// Nothing of the answer is read.
			got := make([]byte, len(c.answer))
			if !socket(sent.FD).read(got) || string(got) != c.answer {
				t.Errorf("%s over %s: left is %q", name, network, got)
			}
			syscall.Close(sent.FD)
			if want := (Sent{FD: sent.FD, Seq: 4, Addr: addr, Name: "kong", Coalesce: true}); *sent != want {
				t.Errorf("%s over %s: %+v, want %+v", name, network, *sent, want)
			}
		}
	}
	if line, sent := run([]string{"agentctl", "event", "-rpc-addr=127.0.0.1:1", "kong"}, none); line != nil || sent != nil {
		t.Errorf("nobody listens: %q, %+v", line, sent)
	}
}

// An answer that has not come in time, or not whole, is left to read.
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
	const answer = "\x82\xa5Error\xa0\xa3Seq\x02"
	taken := func() bool {
		_, ok := socket(fds[0]).takePlain(2, make([]byte, 0, spaceBytes))
		return ok
	}
	if taken() {
		t.Error("no answer was taken for one")
	}
	if !socket(fds[1]).write([]byte(answer[:4])) || taken() {
		t.Error("a piece of an answer was taken for one")
	}
	if !socket(fds[1]).write([]byte(answer[4:])) || !taken() {
		t.Error("the answer, now whole, was not taken")
	}
	if taken() {
		t.Error("the answer was taken, and left")
	}
}

// The arguments and variables are those of package os.
func TestArguments(t *testing.T) {
	if os.Getenv("AGENTCTL_TEST_ARGUMENTS") != "" {
		if got := arguments(); !slices.Equal(got, os.Args) {
			t.Errorf("got %.200q; want %.200q", got, os.Args)
		}
		for _, name := range []string{"AGENTCTL_TEST_TWICE", "AGENTCTL_TEST_EMPTY", "AGENTCTL_TEST_ABSENT"} {
			if got, want := getenv(name), os.Getenv(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		return
	}
	for _, args := range [][]string{nil, {"event", "kong", ""}, {"", "", "x"}, {"event", strings.Repeat("long ", 2000), "\n"}} {
		cmd := exec.Command(os.Args[0], append([]string{"-test.run=^TestArguments$", "--"}, args...)...)
		cmd.Env = append(os.Environ(), "AGENTCTL_TEST_ARGUMENTS=1", "AGENTCTL_TEST_EMPTY=", "AGENTCTL_TEST_TWICE=a=b", "AGENTCTL_TEST_TWICE=c")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%.200q: %v\n%s", args, err, out)
		}
	}
}

// What stands here by hand is what package syscall has for this processor.
func TestNumbers(t *testing.T) {
	for name, pair := range map[string][2]int{
		"read": {sysRead, syscall.SYS_READ}, "write": {sysWrite, syscall.SYS_WRITE}, "close": {sysClose, syscall.SYS_CLOSE},
		"socket": {sysSocket, syscall.SYS_SOCKET}, "connect": {sysConnect, syscall.SYS_CONNECT}, "recvfrom": {sysRecvfrom, syscall.SYS_RECVFROM},
		"setsockopt": {sysSetsockopt, syscall.SYS_SETSOCKOPT}, "exit_group": {sysExitGroup, syscall.SYS_EXIT_GROUP},
		"EINTR": {eintr, int(syscall.EINTR)}, "AF_UNIX": {unix, syscall.AF_UNIX}, "AF_INET": {inet, syscall.AF_INET},
		"SOCK_STREAM": {stream, syscall.SOCK_STREAM}, "SOCK_CLOEXEC": {closeExec, syscall.SOCK_CLOEXEC}, "SOL_SOCKET": {solSocket, syscall.SOL_SOCKET},
		"SO_RCVTIMEO": {rcvTimeout, syscall.SO_RCVTIMEO}, "SO_SNDTIMEO": {sndTimeout, syscall.SO_SNDTIMEO}, "MSG_PEEK": {peekFlag, syscall.MSG_PEEK},
		"an address": {len(sockaddr{}), syscall.SizeofSockaddrUnix}, "an IPv4 address": {inetBytes, syscall.SizeofSockaddrInet4},
		"a time": {int(unsafe.Sizeof([2]int64{})), int(unsafe.Sizeof(syscall.Timeval{}))},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %d, want %d", name, pair[0], pair[1])
		}
	}
}

// Paths of sockets may be as long as Linux takes them.
func TestPathsOfSockets(t *testing.T) {
	for _, c := range []struct {
		path string
		want bool
	}{{"/r", true}, {"/" + strings.Repeat("x", 106), true}, {"/" + strings.Repeat("x", 107), false}, {"@abstract", false}} {
		var to sockaddr
		if size, ok := to.set(&event{socket: c.path}); ok != c.want || ok && (size != 2+len(c.path)+1 || string(to[2:size]) != c.path+"\x00") {
			t.Errorf("%q: %d bytes %q, %v", c.path, size, to, ok)
		}
	}
}
