//go:build unix

package workers

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
)

// nginxTrialsEnv says how many changes TestNginxLatency measures of each kind.
const nginxTrialsEnv = "AGENTCTL_TEST_NGINX_TRIALS"

// TestNginxLatency measures how long after the admin API's answer the last of
// twelve workers serves the new value, with stock serf and a forked script, and
// with agentctl. It asserts that they come to serve it, and no time. It does not
// run beside other tests, so that its figures mean something.
func TestNginxLatency(t *testing.T) {
	needNginx(t)
	trials := testkit.Setting(t, nginxTrialsEnv, 3, 21)
	serf := proc.BuildAs(t, "serf")
	for _, kind := range []struct {
		name  string
		setup fleetSetup
	}{
		{"stock serf, forked, and a script that runs curl", fleetSetup{publish: "fork", serf: stockFor(t, filepath.Dir(serf)), stock: true}},
		{"agentctl, forked", fleetSetup{publish: "fork", serf: serf}},
		{"agentctl, by HTTP", fleetSetup{publish: "http"}},
	} {
		t.Run(kind.name, func(t *testing.T) {
			kind.setup.nodes, kind.setup.profile = 3, "wan" // Kong's
			kind.setup.agent = filepath.Join(filepath.Dir(serf), "agentctl")
			f := newNginxFleet(t, kind.setup)
			first := f.nodes[0]
			f.leadTo(t, first, "0")
			leads(t, f.nodes, "0")
			var last, change []time.Duration
			for i := range trials {
				begin := time.Now()
				at := first.change(t, "PATCH", "/apis/a", fmt.Sprintf(`{"upstream_url":"http://%s/%d"}`, f.origin, i+1))
				change = append(change, at.Sub(begin))
				last = append(last, f.lastToServe(t, look{path: "/a"}, fmt.Sprintf("200 the origin's /%d", i+1)).Sub(at))
				leads(t, f.nodes, fmt.Sprint(i+1))
			}
			slices.Sort(last)
			slices.Sort(change)
			t.Logf("SUMMARY from the admin API's answer to the last of %d workers, %s: median %v, longest %v; the admin API's answer takes %v",
				len(f.nodes)*nginxWorkers, kind.name, short(last[trials/2]), short(last[trials-1]), short(change[trials/2]))
		})
	}
}

// stockFor puts stock serf into a folder that the gateway's workers can read, who
// are another user, and returns its path there.
func stockFor(t *testing.T, dir string) string {
	t.Helper()
	program, err := os.ReadFile(stock.Serf(t, stock.V011))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "stock-serf")
	if err := os.WriteFile(path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func short(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

// lastToServe asks all workers of all nodes at once, each again and again, and
// returns when the last of them was asked for the first time that it answered as
// wanted.
func (f *fleet) lastToServe(t *testing.T, l look, want string) time.Time {
	t.Helper()
	var mu sync.Mutex
	var last time.Time
	var asking sync.WaitGroup
	for _, n := range f.nodes {
		for _, w := range n.pool.workers {
			asking.Go(func() {
				var got answer
				var err error
				if !testkit.PollAt(testkit.Patience, time.Millisecond, func() bool {
					asked := time.Now()
					if got, err = w.do("GET", l.path); err != nil {
						return false
					}
					if shown(got) != want {
						return false
					}
					mu.Lock()
					defer mu.Unlock()
					if asked.After(last) {
						last = asked
					}
					return true
				}) {
					t.Errorf("worker %d of %s still serves %q; %v", w.state.Worker, n.name, shown(got), err)
				}
			})
		}
	}
	asking.Wait()
	return last
}
