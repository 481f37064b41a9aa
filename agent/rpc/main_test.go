package rpc

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/hashicorp/serf/coordinate"
	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"agentctl/scripts/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// fakeAgent is an agent in memory. A nil function answers with nothing.
type fakeAgent struct {
	publish    func(ctx context.Context, name string, payload []byte, coalesce bool) error
	join       func(addrs []string, replay bool) (int, error)
	query      func(name string, payload []byte, params *serf.QueryParam) (*serf.QueryResponse, error)
	key        func(verb, key string) (*serf.KeyResponse, error)
	sent       Published // of each publish
	leave      func() error
	shutdown   func()
	forceLeave func(node string, prune bool) error
	updateTags func(set map[string]string, remove []string) error
	members    []serf.Member
	coord      *coordinate.Coordinate
	recentLogs []string
	onLogs     func()       // called while SubscribeLogs runs
	logLevels  []slog.Level // that were subscribed to
	onEvents   func()       // called before a subscription of events ends

	mu     sync.Mutex
	events []*func(serf.Event)
	logs   []*func(string)
}

func (a *fakeAgent) PublishReport(ctx context.Context, name string, payload []byte, coalesce bool) (Published, error) {
	if a.publish == nil {
		return a.sent, nil
	}
	return a.sent, a.publish(ctx, name, payload, coalesce)
}

func (a *fakeAgent) ForceLeave(node string, prune bool) error { return a.forceLeave(node, prune) }

func (a *fakeAgent) Members() []serf.Member { return a.members }

func (a *fakeAgent) Leave() error { return a.leave() }

func (a *fakeAgent) Shutdown() { a.shutdown() }

func (a *fakeAgent) Join(addrs []string, replay bool) (int, error) { return a.join(addrs, replay) }

func (a *fakeAgent) UpdateTags(set map[string]string, remove []string) error {
	return a.updateTags(set, remove)
}

func (a *fakeAgent) Query(name string, payload []byte, p *serf.QueryParam) (*serf.QueryResponse, error) {
	return a.query(name, payload, p)
}

func (a *fakeAgent) InstallKey(key string) (*serf.KeyResponse, error) { return a.key("install", key) }

func (a *fakeAgent) UseKey(key string) (*serf.KeyResponse, error) { return a.key("use", key) }

func (a *fakeAgent) RemoveKey(key string) (*serf.KeyResponse, error) { return a.key("remove", key) }

func (a *fakeAgent) ListKeys() (*serf.KeyResponse, error) { return a.key("list", "") }

func (a *fakeAgent) Stats() map[string]map[string]string {
	return map[string]map[string]string{"agent": {"name": "fake"}}
}

func (a *fakeAgent) Coordinate(node string) (*coordinate.Coordinate, bool) {
	return a.coord, a.coord != nil && node == "fake"
}

func (a *fakeAgent) SubscribeEvents(fn func(serf.Event)) func() {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := &fn
	a.events = append(a.events, p)
	return func() {
		if a.onEvents != nil {
			a.onEvents()
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.events = slices.DeleteFunc(a.events, func(q *func(serf.Event)) bool { return p == q })
	}
}

func (a *fakeAgent) SubscribeLogs(level slog.Level, fn func(string)) func() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.logLevels = append(a.logLevels, level)
	for _, line := range a.recentLogs {
		fn(line)
	}
	if a.onLogs != nil {
		a.onLogs()
	}
	p := &fn
	a.logs = append(a.logs, p)
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.logs = slices.DeleteFunc(a.logs, func(q *func(string)) bool { return p == q })
	}
}

// emit gives an event to all subscribers, as an agent's one goroutine would.
func (a *fakeAgent) emit(e serf.Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, fn := range a.events {
		(*fn)(e)
	}
}

func (a *fakeAgent) log(line string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, fn := range a.logs {
		(*fn)(line)
	}
}

// Write lets a slog handler write to the fake's log, so that what the server
// logs reaches monitors as it does in an agent.
func (a *fakeAgent) Write(p []byte) (int, error) {
	a.log(string(p[:len(p)-1]))
	return len(p), nil
}

func (a *fakeAgent) subscriptions() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.events) + len(a.logs)
}

// agent has all that a server needs of one.
type agent interface {
	Cluster
	Node
	Keys
	PublishReport(ctx context.Context, name string, payload []byte, coalesce bool) (Published, error)
	Query(name string, payload []byte, params *serf.QueryParam) (*serf.QueryResponse, error)
	SubscribeEvents(fn func(serf.Event)) (cancel func())
	SubscribeLogs(level slog.Level, fn func(line string)) (cancel func())
}

func backend(a agent) Backend {
	return Backend{
		Cluster: a, Node: a, Keys: a, Publish: a.PublishReport, Query: a.Query,
		SubscribeEvents: a.SubscribeEvents, SubscribeLogs: a.SubscribeLogs,
	}
}

// pipes is a listener of in-memory connections.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes {
	return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.once.Do(func() { close(p.closed) }); return nil }

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// dial returns the client's end of a new connection.
func (p *pipes) dial(t testing.TB) *client {
	t.Helper()
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
	case <-p.closed:
		t.Fatal("the listener is closed")
	}
	return newClient(t, ours)
}

// serve runs a server on ln until the test, or bubble, ends.
func serve(t testing.TB, a agent, cfg Config, ln net.Listener) (s *Server, stop func()) {
	t.Helper()
	s = New(backend(a), cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(stop)
	return s, stop
}

// servePipes is serve on a listener of in-memory connections.
func servePipes(t testing.TB, a agent, cfg Config) *pipes {
	p := newPipes()
	serve(t, a, cfg, p)
	return p
}

// counter returns the sum of a metric over all its labels.
func counter(t testing.TB, reg *prometheus.Registry, name string, label ...string) (sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			has := func(want string) bool {
				return slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetValue() == want })
			}
			if len(label) > 0 && !has(label[0]) {
				continue
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

// syncBuffer is a bytes.Buffer that is safe for concurrent use.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
