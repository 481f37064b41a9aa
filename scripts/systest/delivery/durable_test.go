package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/loopback"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stub"
)

// lifeHeader tells, in each request to a gateway, the life of the agent that
// made it.
const lifeHeader = "X-Life"

// durable is an agent of ours with what it keeps from one life to the next: its
// journal, its gossip address, and the gateway beside it. It is for one
// goroutine at a time, but for the gateway.
type durable struct {
	*proc.Node // of this life; nil before the first

	name   string
	dir    string // of all that is its own
	data   string // -data-dir
	gossip string
	gw     *stub.Gateway
	args   []string
	cut    func() // the power, when the agent is killed; may be nil
	life   int
	killed map[int]time.Time // when a life ended, by its number
}

// newDurable makes one, with more flags for each life. It is not started yet.
func newDurable(t *testing.T, name string, args ...string) *durable {
	t.Helper()
	d := &durable{name: name, dir: t.TempDir(), gossip: loopback.Addr(), args: args, killed: map[int]time.Time{}}
	d.data = filepath.Join(d.dir, "data")
	var err error
	if d.gw, err = stub.NewGatewayAt(loopback.Addr()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.gw.Close)
	t.Cleanup(func() {
		if d.Node != nil {
			d.End(t)
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
		"name": "gateway", "events": "user:kong", "url": d.gw.URL(), "timeout": "1m", // a slow answer would be asked for twice
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
	p, err := proc.Start(dir, d.name, os.Environ(), "agentctl", proc.AgentArgs(d.name, args...)...)
	if err == nil {
		d.Node = &proc.Node{Process: p}
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
	n, err := proc.StartAgent(dir, d.name, os.Environ(), args...)
	if n != nil {
		d.Node = n
	}
	if err != nil {
		t.Fatal(err)
	}
}

// die ends a life with kill -9. That it has ended before is an error, and so is
// what no process may print.
func (d *durable) die() error { return dieTogether(d) }

// dieTogether ends several lives at once.
func dieTogether(nodes ...*durable) error {
	var errs []error
	for _, d := range nodes {
		if d.Ended() {
			errs = append(errs, fmt.Errorf("life %d of %s has ended by itself:\n%s", d.life, d.name, d.Printed()))
		}
		d.Cmd.Process.Kill()
	}
	for _, d := range nodes {
		if d.cut != nil {
			d.cut()
		}
	}
	for _, d := range nodes {
		<-d.Done
		d.killed[d.life] = time.Now()
		if bug := d.Bug(); bug != "" {
			errs = append(errs, fmt.Errorf("life %d of %s printed %q:\n%s", d.life, d.name, bug, d.Printed()))
		}
	}
	return errors.Join(errs...)
}

// mustDie is die for a test.
func (d *durable) mustDie(t *testing.T) {
	t.Helper()
	if err := d.die(); err != nil {
		t.Fatal(err)
	}
}

// misbehave has the gateway fail until ctx ends, in each of its ways: killed,
// hanging, refusing, or killed after it took an event and before its answer. It
// returns how often it did; then the gateway is well.
func misbehave(ctx context.Context, g *stub.Gateway) (times int, err error) {
	for ; testkit.Pause(ctx, 1500*time.Millisecond); times++ {
		switch rand.IntN(4) {
		case 0:
			g.Refuse()
		case 1:
			err = g.Hang()
		case 2:
			err = g.Answer(http.StatusServiceUnavailable)
		case 3:
			err = g.Perish()
		}
		if err != nil {
			return times, err
		}
		testkit.Pause(ctx, 500*time.Millisecond)
		if err := g.Answer(http.StatusOK); err != nil {
			return times, err
		}
	}
	return times, g.Answer(http.StatusOK)
}
