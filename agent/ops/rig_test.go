package ops

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/handler"
	"agentctl/handler/delivery"
	"agentctl/handler/journal"
	"agentctl/handler/journal/disk"
	"agentctl/handler/target"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// testConfig is that of a server over a journal, of an agent that is well. It has no
// RPC and no links.
func testConfig(j *journal.Journal) Config {
	logger, _ := testkit.NewLog()
	return Config{
		Node: "self", HTTPAddr: "127.0.0.1:0", Logger: logger, Metrics: prometheus.NewRegistry(), Journal: j,
		Disk:    func() (disk.Status, bool) { return disk.Status{}, false },
		Targets: func() []Target { return nil },
		Members: func() []serf.Member { return nil },
		Warns:   func() []string { return nil },
		State:   func() string { return "alive" },
		Joined:  func() bool { return true },
		Queued:  func() int { return 0 },
	}
}

// rig is the operations endpoint over a journal and targets. Member events whose
// ID begins with "old" are outdated.
type rig struct {
	*httptest.Server
	ops     *Server
	journal *journal.Journal
	targets []Target
}

func newRig(t *testing.T, limits journal.Config, targets ...target.Target) *rig {
	t.Helper()
	return newRigWith(t, limits, func(*Config) {}, targets...)
}

func newRigWith(t *testing.T, limits journal.Config, change func(*Config), targets ...target.Target) *rig {
	t.Helper()
	r := &rig{journal: journal.New(limits)}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, target := range targets {
		target.MinBackoff, target.MaxBackoff = time.Millisecond, 10*time.Millisecond
		target = target.WithDefaults()
		d, err := delivery.New(delivery.Config{Target: target, Journal: r.journal, Dial: memory.Network(t).Dial,
			Revise: func(_ context.Context, e handler.Event) (handler.Event, bool) {
				return e, !strings.HasPrefix(e.ID, "old")
			}})
		if err != nil {
			t.Fatal(err)
		}
		r.targets = append(r.targets, Target{&target, d})
		wg.Go(func() {
			if err := d.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	c := testConfig(r.journal)
	c.Targets = func() []Target { return r.targets }
	change(&c)
	r.ops = New(nil, c)
	r.Server = testkit.ServeOn(t, memory.Listen(t), r.ops.http.Handler.ServeHTTP)
	t.Cleanup(func() {
		r.CloseClientConnections()
		r.Close()
		cancel()
		wg.Wait()
		r.journal.Close()
	})
	return r
}

func (r *rig) append(t *testing.T, events ...handler.Event) {
	t.Helper()
	if err := r.journal.Append(events...); err != nil {
		t.Fatal(err)
	}
}

// ask is [testkit.Ask] at this endpoint.
func (r *rig) ask(t *testing.T, method, path, body string, v any, header ...string) (int, string) {
	t.Helper()
	return testkit.Ask(t, client(t), r.URL, method, path, body, v, header...)
}

// settled waits until targets have an outcome for all events, but those named.
func (r *rig) settled(t *testing.T, but ...string) {
	t.Helper()
	testkit.WaitFor(t, "the deliveries", func() bool {
		for _, target := range r.targets {
			if s := target.Delivery.Status(); s.Waiting > 0 && !strings.Contains(strings.Join(but, " "), target.Name) {
				return false
			}
		}
		return true
	})
}

func filters(t *testing.T, spec string) handler.Filters {
	t.Helper()
	fs, err := handler.ParseFilters(spec)
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

// threeTargets are one that takes, one that refuses for good until mended, and
// one that is down, with five events of them.
func threeTargets(t *testing.T) (r *rig, refuser *testkit.Gateway, base time.Time) {
	t.Helper()
	taker, refuser, down := memory.NewGateway(t), memory.NewGateway(t), memory.NewGateway(t)
	refuser.Down.Store(true)
	down.Down.Store(true)
	r = newRig(t, journal.Config{},
		target.Target{Name: "taker", URL: taker.URL, Filters: filters(t, "user:kong")},
		target.Target{Name: "refuser", URL: refuser.URL, Filters: filters(t, "user:kong,user:purge"), BuryCodes: []int{503}},
		target.Target{Name: "waiter", URL: down.URL, Filters: filters(t, "user:purge")})
	base = time.Now().Add(-time.Hour).Truncate(time.Second)
	for i, name := range []string{"kong", "purge", "other", "kong", "purge"} {
		r.append(t, handler.NewUser(uint64(i+1), name, fmt.Appendf(nil, "<%d>", i+1), base.Add(time.Duration(i)*time.Minute)))
	}
	r.settled(t, "waiter")
	return r, refuser, base
}
