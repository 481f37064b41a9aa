//go:build linux

package attack

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"agentctl/rpcclient/wire"
	"agentctl/scripts/testkit"
)

// goroutines asks the agent how many it has.
func (v *victim) goroutines(t *testing.T) int {
	t.Helper()
	stats, err := v.publisher.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(stats["runtime"]["goroutines"])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// logSize is what the agent has printed, in bytes.
func (v *victim) logSize() (n int) {
	for _, file := range []string{v.Out, v.Err} {
		if info, err := os.Stat(file); err == nil {
			n += int(info.Size())
		}
	}
	return n
}

// rss is the memory of the agent in KiB, 0 where it has ended.
func (v *victim) rss(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", v.Cmd.Process.Pid))
	if err != nil {
		if v.stock {
			return 0
		}
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "\nVmRSS:")
	kb, err := strconv.Atoi(strings.Fields(rest + " x")[0])
	if err != nil && !v.stock {
		t.Fatalf("no VmRSS in %s", status)
	}
	return kb
}

// cpu is the time that the agent has computed.
func (v *victim) cpu(t *testing.T) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", v.Cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	// The second field, the name, may hold blanks; it ends with the last bracket.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	const utime, stime, perSecond = 11, 12, 100 // USER_HZ is 100 wherever Go runs on Linux
	var ticks int
	for _, i := range []int{utime, stime} {
		n, err := strconv.Atoi(fields[i])
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / perSecond
}

// attacker is a connection that keeps to no rules.
type attacker struct {
	*net.TCPConn
	w *wire.Writer
	r *wire.Reader
}

// attack connects. The connection is closed at the end of the test.
func (v *victim) attack(t *testing.T) *attacker {
	t.Helper()
	a, err := v.tryAttack(t)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (v *victim) tryAttack(t *testing.T) (*attacker, error) {
	conn, err := net.Dial("tcp", v.RPC)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(2 * testkit.Patience)) // it has one
	return &attacker{conn.(*net.TCPConn), wire.NewWriter(conn), wire.NewReader(conn, wire.DefaultLimits)}, nil
}

// ask sends a request and reads its answer, with the body if resp is not nil.
func (a *attacker) ask(cmd wire.Command, seq uint64, body, resp any) (text string, err error) {
	if err := a.w.Write(wire.RequestHeader{Command: cmd, Seq: seq}, body); err != nil {
		return "", err
	}
	var h wire.ResponseHeader
	if err := a.r.Read(&h); err != nil {
		return "", err
	}
	if h.Seq != seq {
		return "", fmt.Errorf("%s: an answer to %d in place of %d", cmd, h.Seq, seq)
	}
	if resp != nil {
		err = a.r.Read(resp)
	}
	return h.Error, err
}

// greet shakes hands.
func (a *attacker) greet() error {
	text, err := a.ask(wire.Handshake, 1, wire.HandshakeRequest{Version: wire.Version}, nil)
	if err == nil && text != "" {
		err = fmt.Errorf("handshake: %s", text)
	}
	return err
}
