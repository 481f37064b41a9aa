package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"agentctl/agent/config"
	"agentctl/agent/intake"
	"agentctl/agent/logs"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/leaks"
	"agentctl/scripts/testkit/memory"
)

func TestMain(m *testing.M) {
	stopGrace = testkit.Patience // what is cut off would be posted twice
	leaks.Main(m)
}

// node is an agent that runs.
type node struct {
	*Agent
	log  *testkit.LogBuffer
	end  context.CancelCauseFunc
	done chan struct{}
	err  error // of Run, once done is closed

	unstopped error // what did not go well at the end, likewise
}

// options are those of an agent on the network in memory, at an address of its own,
// that has no event handler to speak of.
func options(change ...func(*config.Options)) config.Options {
	o := config.DefaultOptions()
	o.NodeName = fmt.Sprintf("node-%d", nodes.Add(1))
	o.Profile = "local"
	o.Bind, o.HTTPAddr = memory.Addr(), config.Off
	o.LogLevel = "debug"
	o.BroadcastTimeout = testkit.Patience
	o.EventHandlers = []string{"user:of-no-test=true"}
	for _, c := range change {
		c(&o)
	}
	return o
}

var nodes atomic.Int64

// onLoopback has an agent use ports of this machine.
func onLoopback(o *config.Options) { o.Bind, o.RPCAddr = "127.0.0.1:0", "127.0.0.1:0" }

// serveHTTP has an agent serve its operations endpoint.
func serveHTTP(o *config.Options) { o.HTTPAddr = "127.0.0.1:0" }

// compiled is what an agent takes of options.
func compiled(t testing.TB, o config.Options) *config.Config {
	t.Helper()
	c, err := config.Compile(config.Input{Defaults: o})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// handlers sets the event handlers.
func handlers(specs ...string) func(*config.Options) {
	return func(o *config.Options) { o.EventHandlers = specs }
}

func newHub(t *testing.T) (*logs.Hub, *testkit.LogBuffer) {
	buf := new(testkit.LogBuffer)
	hub := logs.New(logs.Config{Out: buf, Level: slog.LevelDebug})
	t.Cleanup(hub.Close)
	return hub, buf
}

// start makes and runs an agent, which the end of the test stops.
func start(t *testing.T, change ...func(*config.Options)) *node {
	t.Helper()
	hub, buf := newHub(t)
	a, err := newOn(t, compiled(t, options(change...)), hub, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	return run(t, a, buf)
}

func run(t *testing.T, a *Agent, buf *testkit.LogBuffer) *node {
	ctx, cancel := context.WithCancelCause(context.Background())
	n := &node{Agent: a, log: buf, end: cancel, done: make(chan struct{})}
	go func() {
		defer close(n.done)
		n.err = a.Run(ctx)
		if stop, ok := errors.AsType[*StopError](n.err); ok {
			n.err, n.unstopped = stop.Cause, stop.Steps
		}
	}()
	t.Cleanup(func() {
		cancel(ErrNoLeave)
		<-n.done
		if err := a.Close(); err != nil { // one that ended at once
			t.Error(err)
		}
		if t.Failed() && testing.Verbose() {
			t.Logf("log of %s:\n%s", a.opts.NodeName, buf)
		}
	})
	return n
}

// stopped waits for the end of Run and returns its error.
func (n *node) stopped(t *testing.T) error {
	t.Helper()
	select {
	case <-n.done:
		return n.err
	case <-time.After(testkit.Patience):
		t.Fatal("the agent does not end")
		return nil
	}
}

// join makes a cluster of the agents and waits until all know all.
func join(t *testing.T, agents ...*node) {
	t.Helper()
	for _, n := range agents[1:] {
		if _, err := n.Join([]string{agents[0].GossipAddr()}, false); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range agents {
		testkit.WaitFor(t, "all members alive", func() bool { return n.countMembers("alive") == len(agents) })
	}
}

func (n *node) countMembers(status string) (count int) {
	for _, m := range n.Members() {
		if m.Status.String() == status {
			count++
		}
	}
	return count
}

// sees is the status that n gives another node.
func (n *node) sees(other *node) string {
	for _, m := range n.Members() {
		if m.Name == other.opts.NodeName {
			return m.Status.String()
		}
	}
	return ""
}

// took is how many user events came first by a way.
func (n *node) took(t *testing.T, w intake.Way) int {
	t.Helper()
	return int(testkit.CounterWith(t, n.Metrics(), "agentctl_events_received_total", map[string]string{"type": "user", "way": w.String()}))
}
