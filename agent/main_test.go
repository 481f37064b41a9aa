package agent

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"agentctl/agent/logs"
	"agentctl/scripts/leaks"
	"agentctl/scripts/testkit"

	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

func TestMain(m *testing.M) {
	stopGrace = testkit.Patience // what is cut off would be posted twice
	leaks.Main(m)
}

// logBuffer keeps what is logged.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// count is the number of lines that hold all parts.
func (b *logBuffer) count(parts ...string) int {
	n := 0
lines:
	for l := range strings.Lines(b.String()) {
		for _, p := range parts {
			if !strings.Contains(l, p) {
				continue lines
			}
		}
		n++
	}
	return n
}

func newLog() (*slog.Logger, *logBuffer) {
	b := new(logBuffer)
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug})), b
}

// counter reads a counter from a registry: the sum of those whose first label has
// a value; 0 if there are none.
func counter(t *testing.T, reg prometheus.Gatherer, name, label string) (sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name || f.GetType() != dto.MetricType_COUNTER {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == label {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// post is one event that a gateway was sent.
type post struct {
	typ, name, id, body string
}

// gateway is an HTTP server that keeps what it takes.
type gateway struct {
	*httptest.Server
	down atomic.Bool // answer 503 and take nothing

	mu    sync.Mutex
	posts []post
	tries int
}

func newGateway(t *testing.T) *gateway {
	g := new(gateway)
	g.Server = httptest.NewServer(g)
	t.Cleanup(g.Close)
	return g
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tries++
	if g.down.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	h := r.Header
	g.posts = append(g.posts, post{h.Get("X-Serf-Event"), h.Get("X-Serf-Event-Name"), h.Get("X-Serf-Event-Id"), string(body)})
}

// of are the posts of a type, in order.
func (g *gateway) of(typ string) (out []post) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.posts {
		if p.typ == typ {
			out = append(out, p)
		}
	}
	return out
}

func (g *gateway) attempts() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.tries
}

// node is an agent that runs.
type node struct {
	*Agent
	log  *logBuffer
	end  context.CancelCauseFunc
	done chan struct{}
	err  error // of Run, once done is closed
}

var nodes atomic.Int64

// options are those of an agent on loopback, all ports free ones, that has no
// event handler to speak of.
func options(change ...func(*Options)) Options {
	o := DefaultOptions()
	o.NodeName = fmt.Sprintf("node-%d", nodes.Add(1))
	o.Profile = "local"
	o.Bind, o.RPCAddr, o.HTTPAddr = "127.0.0.1:0", "127.0.0.1:0", Off
	o.LogLevel = "debug"
	o.BroadcastTimeout = testkit.Patience
	o.EventHandlers = []string{"user:of-no-test=true"}
	for _, c := range change {
		c(&o)
	}
	return o
}

// handlers sets the event handlers.
func handlers(specs ...string) func(*Options) {
	return func(o *Options) { o.EventHandlers = specs }
}

func newHub(t *testing.T) (*logs.Hub, *logBuffer) {
	buf := new(logBuffer)
	hub := logs.New(logs.Config{Out: buf, Level: slog.LevelDebug})
	t.Cleanup(hub.Close)
	return hub, buf
}

// patient gives serf the time that a busy machine may take: for a full sync, and
// for the answers to a question that is asked of all.
func patient(c *serf.Config) {
	c.MemberlistConfig.TCPTimeout = 10 * time.Second
	c.QueryTimeoutMult = 64 // of the 100 ms between two rounds of gossip
}

// start makes and runs an agent, which the end of the test stops.
func start(t *testing.T, change ...func(*Options)) *node {
	t.Helper()
	hub, buf := newHub(t)
	a, err := NewOn(Ports{tune: patient}, options(change...), hub, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	return run(t, a, buf)
}

func run(t *testing.T, a *Agent, buf *logBuffer) *node {
	ctx, cancel := context.WithCancelCause(context.Background())
	n := &node{Agent: a, log: buf, end: cancel, done: make(chan struct{})}
	go func() {
		defer close(n.done)
		n.err = a.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel(ErrNoLeave)
		<-n.done
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

func (n *node) countMembers(status string) int { return n.status().Members[status] }

// sees is the status that n gives another node.
func (n *node) sees(other *node) string {
	for _, m := range n.Members() {
		if m.Name == other.opts.NodeName {
			return m.Status.String()
		}
	}
	return ""
}
