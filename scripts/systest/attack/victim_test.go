//go:build linux

package attack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"agentctl/rpcclient"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/loopback"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
)

// victimKey is the RPC key of a victim that has one.
const victimKey = "the right key"

// victim is an agent that a test abuses, stock or ours, and beside it a client
// that behaves well and has a stream open all the time.
type victim struct {
	*proc.Node
	stock bool
	key   string

	stream, publisher *rpcclient.Client
	sent              int // events, all of them published by publish
	mu                sync.Mutex
	got               []string // the payloads that came on the stream
	broken            error    // what ended the stream, or a gap in it

	log0, rss0, goroutines0 int // before the abuse
}

// newVictim starts an agent; with files, it may have only so many descriptors.
func newVictim(t *testing.T, isStock bool, key string, files int) *victim {
	t.Helper()
	// A script that takes a moment, so that clients come and go while one runs;
	// quiet, so that what is in the log at the end is about the abuse.
	args := []string{"-event-handler=user:slow=sleep 0.05", "-log-level=warn"}
	if key != "" {
		config := filepath.Join(t.TempDir(), "key.json")
		if err := os.WriteFile(config, fmt.Appendf(nil, `{"rpc_auth": %q}`, key), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "-config-file="+config)
	}
	v := &victim{stock: isStock, key: key}
	var err error
	if v.Node, err = startStarved(t.TempDir(), isStock, files, args); err != nil {
		t.Fatal(err)
	}
	if isStock {
		t.Cleanup(v.Kill) // it may panic: that is what the tests are about
	} else {
		proc.KillAtEnd(t, v.Process)
	}
	v.befriend(t)
	v.log0, v.rss0, v.goroutines0 = v.logSize(), v.rss(t), v.goroutines(t)
	return v
}

// startStarved starts an agent through a shell that limits its descriptors, where
// files is above 0. An agent of ours names its addresses in a line that
// -log-level=warn hides, so both kinds are told their ports.
func startStarved(dir string, isStock bool, files int, args []string) (*proc.Node, error) {
	program := []string{"agentctl", "agent", "-http-addr=off"}
	if isStock {
		path, err := stock.Install(stock.V011)
		if err != nil {
			return nil, err
		}
		program = []string{path, "agent"}
	}
	limit := "unlimited"
	if files > 0 {
		limit = strconv.Itoa(files)
	}
	n := &proc.Node{Gossip: "127.0.0.1:" + loopback.Port(), RPC: "127.0.0.1:" + loopback.Port()}
	line := slices.Concat([]string{"-c", `[ "$0" = unlimited ] || ulimit -n "$0"; exec "$@"`, limit}, program,
		[]string{"-node=victim", "-bind=" + n.Gossip, "-rpc-addr=" + n.RPC, proc.Profile}, args)
	var err error
	if n.Process, err = proc.Start(dir, "victim", os.Environ(), "/bin/sh", line...); err != nil {
		return nil, err
	}
	if err = n.Answers(); err != nil {
		n.Kill()
		return nil, fmt.Errorf("%w:\n%s", err, n.Printed())
	}
	return n, nil
}

// befriend connects the well-behaved client.
func (v *victim) befriend(t *testing.T) {
	t.Helper()
	v.stream, v.publisher = v.dial(t), v.dial(t)
	records, err := v.stream.Stream(t.Context(), "user:counted")
	if err != nil {
		t.Fatal(err)
	}
	// Stock serf subscribes a client just after it has answered it: what it
	// answers next shows that it has.
	if _, err := v.stream.Members(t.Context()); err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		for r, err := range records {
			v.mu.Lock()
			if err == nil {
				v.got = append(v.got, string(r.Payload))
			} else if v.broken == nil {
				v.broken = err
			}
			v.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		v.stream.Close()
		reading.Wait()
	})
}

// dial connects a client of ours.
func (v *victim) dial(t *testing.T) *rpcclient.Client {
	t.Helper()
	c, err := rpcclient.Dial(t.Context(), rpcclient.Config{Addr: v.RPC, AuthKey: v.key, StreamBuffer: 1 << 16})
	if err != nil {
		t.Fatalf("a client that behaves is not let in: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// payload is that of the i-th event: long, and longer still where a log quotes it.
func (v *victim) payload(i int) string { return fmt.Sprintf("%06d %s", i, strings.Repeat("\xff", 400)) }

// publish publishes n events. Only a stock agent may fail to take them.
func (v *victim) publish(t *testing.T, n int) error {
	t.Helper()
	for range n {
		ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
		err := v.publisher.Event(ctx, "counted", []byte(v.payload(v.sent)), false)
		cancel()
		if err != nil {
			if !v.stock {
				t.Errorf("event %d was not taken: %v", v.sent, err)
			}
			return err
		}
		v.sent++
	}
	return nil
}

// received is how many events have come on the good client's stream.
func (v *victim) received() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.got)
}

// report is how the good client fared: "" where it has got every event.
func (v *victim) report() string {
	testkit.PollFor(testkit.Patience, func() bool {
		return v.received() >= v.sent || v.stream.Err() != nil || v.Ended() || v.stock && v.spins()
	})
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.broken != nil {
		return fmt.Sprintf("its stream broke after %d of %d events: %v", len(v.got), v.sent, v.broken)
	}
	for i := range max(v.sent, len(v.got)) {
		if i >= len(v.got) || i >= v.sent || v.got[i] != v.payload(i) {
			return fmt.Sprintf("it has %d events and not the %d published in their order: number %d is the first to differ", len(v.got), v.sent, i)
		}
	}
	return ""
}

// spins reports that the log says so much that nothing can be expected any more.
func (v *victim) spins() bool { return v.logSize()-v.log0 > 1<<20 }

// checkWell is what holds of our agent after each abuse: it lives, it serves,
// and it has given back what the abuse took.
func (v *victim) checkWell(t *testing.T) {
	t.Helper()
	const logLimit = 16 << 10
	v.publish(t, 20)
	if r := v.report(); r != "" {
		t.Errorf("the client that behaves: %s", r)
	}
	if v.Ended() {
		t.Fatalf("the agent has ended: %s", proc.Tail(v.Printed(), 4<<10))
	}
	if n := v.logSize() - v.log0; n > logLimit {
		t.Errorf("the log grew by %d bytes, more than %d; it ends with:\n%s", n, logLimit, proc.Tail(v.Printed(), 2<<10))
	}
	testkit.WaitFor(t, "the goroutines of the abuse end", func() bool { return v.goroutines(t) <= v.goroutines0+10 })
}
