package repair

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/scripts/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// config is one whose peer never answers.
func config() Config {
	return Config{
		Store: journal.New(journal.Config{}),
		Peers: func() []string { return []string{"peer"} },
		Ask:   func(context.Context, string, []byte) ([]byte, error) { return nil, errUnreachable },
		Take:  func(context.Context, []handler.Event) error { return nil },
		Gap:   func(string) error { return nil },
		Clock: func() uint64 { return 1 },
	}
}

func newRepair(t *testing.T, cfg Config) *Repair {
	t.Helper()
	r, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Rounds come within a second of the start and of a kick, and otherwise 10 to
// 30 seconds after each other.
func TestWhenRoundsCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var all []time.Time
		cfg := config()
		cfg.Ask = func(context.Context, string, []byte) ([]byte, error) {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, time.Now())
			return nil, errUnreachable
		}
		rounds := func() []time.Time {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return all
		}
		r := newRepair(t, cfg)
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		time.Sleep(10 * time.Minute)
		early := rounds()
		if first := early[0].Sub(began); first > time.Second {
			t.Errorf("the first round came after %v", first)
		}
		// A peer that does not answer is asked again soon, and then ever later.
		for i := range maxSilent {
			if d := early[i+1].Sub(early[i]); d < min(soonWait/2<<i, 10*time.Second) || d > soonWait<<i {
				t.Errorf("round %d came %v after the one before", i+1, d)
			}
		}
		early = early[maxSilent:]
		shortest, longest := time.Hour, time.Duration(0)
		for i, at := range early[1:] {
			d := at.Sub(early[i])
			shortest, longest = min(shortest, d), max(longest, d)
		}
		if shortest < 10*time.Second || longest > 30*time.Second || longest-shortest < 5*time.Second {
			t.Errorf("rounds are %v to %v apart", shortest, longest)
		}
		for range 5 {
			time.Sleep(2 * time.Second)
			before, kicked := len(rounds()), time.Now()
			for range 100 {
				r.Kick("test")
			}
			time.Sleep(time.Second)
			if after := rounds()[before:]; len(after) < 1 || len(after) > 2 || after[0].Sub(kicked) > time.Second {
				t.Errorf("rounds at %v after a kick at %v", after, kicked)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A comparison that a peer leaves hanging ends, and Run ends with its context.
func TestAPeerThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		var asked atomic.Int32
		cfg.Ask = func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
			asked.Add(1)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		r := newRepair(t, cfg)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		time.Sleep(10 * time.Minute)
		if n := asked.Load(); n < 3 {
			t.Errorf("asked %d times in 10 minutes", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A round that brought something is followed by the next at once: others may
// have more. The first save of an incarnation comes before anyone can know of it.
func TestHurryAndSave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t.Context())
		n, p := c.add(10), c.add(10)
		if n.kept.state == nil {
			t.Error("an incarnation began and was not saved")
		}
		c.tell(1, p)
		if n.rep.round(c.ctx) != hurryWait || n.rep.round(c.ctx) == hurryWait {
			t.Error("not in a hurry after a repair, or in a hurry without")
		}
		saved := n.kept.state
		n.kept.state = nil
		n.rep.round(c.ctx)
		if n.kept.state != nil {
			t.Error("nothing changed, and it was saved")
		}
		if st, err := decodeState(saved); err != nil || st.peers[p.name].seq != 1 {
			t.Errorf("saved: %+v, %v", st, err)
		}
	})
}

func TestConfigIsCheckedAtOnce(t *testing.T) {
	_, err := New(t.Context(), Config{})
	for _, what := range []string{"Store", "Peers", "Take"} {
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s is not named: %v", what, err)
		}
	}
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t.Context())
		n, p := c.add(10), c.add(10)
		reg := prometheus.NewPedanticRegistry()
		n.rep.metrics = newMetrics(reg)
		c.tell(2, p)
		n.rep.round(c.ctx)
		n.rep.round(c.ctx)
		n.rep.gap([]*doubtError{{}})
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for want, count := range map[string]float64{
			"agentctl_repair_comparisons_total same": 1, "agentctl_repair_comparisons_total repaired": 1,
			"agentctl_repair_events_total": 2, "agentctl_repair_gaps_total": 1,
		} {
			if got := counted(families, want); got != count {
				t.Errorf("%s: %v, want %v", want, got, count)
			}
		}
	})
}

// counted finds a counter by its name and the value of its label.
func counted(families []*dto.MetricFamily, want string) float64 {
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += " " + l.GetValue()
			}
			if name == want {
				return m.Counter.GetValue()
			}
		}
	}
	return -1
}
