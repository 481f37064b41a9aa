package rpcclient

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"agentctl/scripts/loopback"
	"agentctl/scripts/stock"
)

// stockAgent is a stock serf agent that runs as a process on loopback.
type stockAgent struct {
	RPC, Gossip string // addresses
}

// startStock starts an agent of the given release, named node, and waits until
// its RPC answers. The agent is killed at the end of the test.
func startStock(tb testing.TB, version, node string, args ...string) stockAgent {
	tb.Helper()
	program := stock.Serf(tb, version)
	a := stockAgent{RPC: loopback.Addr(), Gossip: loopback.Addr()}
	out := new(output)
	cmd := exec.Command(program, append([]string{"agent", "-node", node, "-profile", "local",
		"-bind", a.Gossip, "-rpc-addr", a.RPC}, args...)...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		cmd.Wait()
	}()
	tb.Cleanup(func() {
		cmd.Process.Kill()
		<-exited
		if tb.Failed() {
			tb.Logf("agent %s:\n%s", node, out)
		}
	})
	if !answers(tb.Context(), a.RPC, exited) {
		tb.Fatalf("agent %s of release %s did not come up", node, version)
	}
	return a
}

// answers polls an RPC address until a handshake succeeds there.
func answers(ctx context.Context, addr string, exited <-chan struct{}) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if c, err := Dial(ctx, Config{Addr: addr}); err == nil {
			c.Close()
			return true
		}
		select {
		case <-tick.C:
		case <-exited:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// output collects what a process prints.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// dial connects to a stock agent and closes at the end of the test.
func dial(tb testing.TB, addr, key string) *Client {
	tb.Helper()
	c, err := Dial(tb.Context(), Config{Addr: addr, AuthKey: key, Timeout: time.Minute})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	return c
}

// eventually polls until ok returns no error.
func eventually(tb testing.TB, ok func() error) {
	tb.Helper()
	var err error
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if err = ok(); err == nil {
			return
		}
		<-time.After(5 * time.Millisecond)
	}
	tb.Fatal(fmt.Errorf("after a minute: %w", err))
}

func writeFile(tb testing.TB, path, text string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
}
