package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"agentctl/scripts/loopback"
)

// lifeHeader tells, in each request to a gateway, the life of the agent that
// made it.
const lifeHeader = "X-Life"

// durable is an agent of ours with what it keeps from one life to the next: its
// journal, its gossip address, and the gateway beside it. It is for one
// goroutine at a time, but for the gateway.
type durable struct {
	*node // of this life; nil before the first

	name   string
	dir    string // of all that is its own
	data   string // -data-dir
	gossip string
	gw     *gateway
	args   []string
	life   int
	killed map[int]time.Time // when a life ended, by its number
}

// newDurable makes one, with more flags for each life. It is not started yet.
func newDurable(t *testing.T, name string, args ...string) *durable {
	t.Helper()
	d := &durable{name: name, dir: t.TempDir(), gossip: loopback.Addr(), args: args, killed: map[int]time.Time{}}
	d.data = filepath.Join(d.dir, "data")
	var err error
	if d.gw, err = newGatewayAt(loopback.Addr()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.gw.close)
	t.Cleanup(func() {
		if d.node != nil {
			d.end(t)
		}
	})
	return d
}

// reborn prepares a life: the folder for its output, and its flags.
func (d *durable) reborn() (dir string, args []string, err error) {
	d.life++
	dir = filepath.Join(d.dir, "life", strconv.Itoa(d.life))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, err
	}
	// The target has a name, since its address alone would not do: the header
	// differs from life to life, and its place in the journal must not.
	config, err := json.Marshal(map[string]any{"targets": []any{map[string]any{
		"name": "gateway", "events": "user:kong", "url": d.gw.url(), "timeout": "1m", // a slow answer would be asked for twice
		"headers": map[string]string{lifeHeader: strconv.Itoa(d.life)},
	}}})
	if err != nil {
		return "", nil, err
	}
	file := filepath.Join(dir, "agent.json")
	args = append([]string{"-config-file=" + file, "-data-dir=" + d.data, "-bind=" + d.gossip}, d.args...)
	return dir, args, os.WriteFile(file, config, 0o600)
}

// launch begins a life and does not wait for anything.
func (d *durable) launch() error {
	dir, args, err := d.reborn()
	if err != nil {
		return err
	}
	p, err := startProcess(dir, d.name, os.Environ(), "agentctl", agentArgs(d.name, args...)...)
	if err == nil {
		d.node = &node{process: p}
	}
	return err
}

// start begins a life and waits until it answers.
func (d *durable) start(t *testing.T) {
	t.Helper()
	dir, args, err := d.reborn()
	if err != nil {
		t.Fatal(err)
	}
	n, err := startAgent(dir, d.name, os.Environ(), args...)
	if n != nil {
		d.node = n
	}
	if err != nil {
		t.Fatal(err)
	}
}

// die ends a life with kill -9. That it has ended before is an error, and so is
// what no process may print.
func (d *durable) die() error {
	if d.ended() {
		return fmt.Errorf("life %d of %s has ended by itself:\n%s", d.life, d.name, d.printed())
	}
	d.kill()
	d.killed[d.life] = time.Now()
	if bug := d.bug(); bug != "" {
		return fmt.Errorf("life %d of %s printed %q:\n%s", d.life, d.name, bug, d.printed())
	}
	return nil
}

// mustDie is die for a test.
func (d *durable) mustDie(t *testing.T) {
	t.Helper()
	if err := d.die(); err != nil {
		t.Fatal(err)
	}
}

// pause waits for a random time below most, and tells whether ctx goes on.
func pause(ctx context.Context, most time.Duration) bool {
	select {
	case <-time.After(rand.N(most)):
		return true
	case <-ctx.Done():
		return false
	}
}

// misbehave has the gateway fail until ctx ends, in each of its ways: killed,
// hanging, refusing, or killed after it took an event and before its answer. It
// returns how often it did; then the gateway is well.
func (g *gateway) misbehave(ctx context.Context) (times int, err error) {
	for ; pause(ctx, 1500*time.Millisecond); times++ {
		switch rand.IntN(4) {
		case 0:
			g.refuse()
		case 1:
			err = g.hang()
		case 2:
			err = g.answer(http.StatusServiceUnavailable)
		case 3:
			err = g.perish()
		}
		if err != nil {
			return times, err
		}
		pause(ctx, 500*time.Millisecond)
		if err := g.answer(http.StatusOK); err != nil {
			return times, err
		}
	}
	return times, g.answer(http.StatusOK)
}
