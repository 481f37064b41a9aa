package monitoring

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// patience is how long a test waits for what has to come.
const patience = 60 * time.Second

// freeAddrs are addresses of loopback that nobody listened at just now: different
// ones, being held until all are found.
func freeAddrs(t *testing.T, n int) (addrs []string) {
	t.Helper()
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		addrs = append(addrs, ln.Addr().String())
	}
	return addrs
}

// agent is one of a small cluster, as a process.
type agent struct{ gossip, rpc, http string }

func startAgent(t *testing.T, program, name, gateway string, a agent, args ...string) agent {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, append([]string{"agent", "-node=" + name, "-bind=" + a.gossip, "-rpc-addr=" + a.rpc, "-http-addr=" + a.http,
		"-profile=local", "-gateway=" + gateway, "-data-dir=" + t.TempDir()}, args...)...)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("%s:\n%s", name, text)
		}
	})
	return a
}

// metrics reads an agent's /metrics.
func (a agent) metrics() (map[string]*dto.MetricFamily, error) {
	resp, err := http.Get("http://" + a.http + "/metrics")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("/metrics: %s", resp.Status)
	}
	p := expfmt.NewTextParser(model.UTF8Validation)
	return p.TextToMetricFamilies(resp.Body)
}

// family finds the family of a series, which may be a part of a histogram or a
// summary.
func family(all map[string]*dto.MetricFamily, series string) *dto.MetricFamily {
	if f := all[series]; f != nil {
		return f
	}
	for suffix, types := range map[string][]dto.MetricType{
		"_bucket": {dto.MetricType_HISTOGRAM},
		"_sum":    {dto.MetricType_HISTOGRAM, dto.MetricType_SUMMARY},
		"_count":  {dto.MetricType_HISTOGRAM, dto.MetricType_SUMMARY},
	} {
		name, ok := strings.CutSuffix(series, suffix)
		for _, typ := range types {
			if f := all[name]; ok && f != nil && f.GetType() == typ {
				return f
			}
		}
	}
	return nil
}

// has tells whether there is a series that a selector picks. What the scraper
// adds, job and instance, is not looked at.
func has(all map[string]*dto.MetricFamily, s selector) bool {
	f := family(all, s.name)
	if f == nil {
		return false
	}
	for _, m := range f.GetMetric() {
		values := map[string]string{}
		for _, l := range m.GetLabel() {
			values[l.GetName()] = l.GetValue()
		}
		picked := true
		for _, want := range s.matchers {
			switch want.Name {
			case "__name__", "job", "instance":
			default:
				picked = picked && want.Matches(values[want.Name])
			}
		}
		if picked {
			return true
		}
	}
	return false
}

// Every series that the dashboard and the alerts name is there, in an agent that
// has a peer and has delivered an event.
func TestSeriesExist(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "agentctl")
	build := exec.Command("go", "build", "-o", program, "./cmd/agentctl")
	build.Dir = "../../.."
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as the packages have it, which the check has compiled
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	gateway := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
	defer gateway.Close()
	addrs := freeAddrs(t, 6)
	first := startAgent(t, program, "first", gateway.URL, agent{addrs[0], addrs[1], addrs[2]})
	second := startAgent(t, program, "second", gateway.URL, agent{addrs[3], addrs[4], addrs[5]}, "-retry-join="+first.gossip)

	var missing []string
	published := false
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		if !published {
			published = exec.Command(program, "event", "-rpc-addr="+second.rpc, "kong", "{}").Run() == nil
			continue
		}
		all, err := second.metrics()
		if err != nil {
			missing = []string{err.Error()}
			continue
		}
		missing = nil
		for _, q := range queries(t) {
			expr, err := newParser().ParseExpr(q.expr)
			if err != nil {
				t.Fatalf("%s: %v", q.where, err)
			}
			for _, s := range selectors(expr) {
				if !has(all, s) {
					missing = append(missing, fmt.Sprintf("%s asks for %s %v", q.where, s.name, s.matchers))
				}
			}
		}
		if len(missing) == 0 {
			return
		}
	}
	t.Errorf("an agent has no such series:\n%s", strings.Join(missing, "\n"))
}
