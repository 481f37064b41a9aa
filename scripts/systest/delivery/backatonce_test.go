package delivery

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"agentctl/agent/api"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/loopback"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stub"
)

// withTargets starts an agent with a target for each of some URLs, named t0 and so on.
func withTargets(t *testing.T, urls ...string) *proc.Node {
	t.Helper()
	var targets []any
	for i, url := range urls {
		targets = append(targets, map[string]any{"name": fmt.Sprint("t", i), "events": "user:kong", "url": url, "timeout": "5m"})
	}
	config, err := json.Marshal(map[string]any{"targets": targets})
	if err != nil {
		t.Fatal(err)
	}
	return proc.NewAgent(t, "web1", "-config-file="+testkit.WriteFile(t, string(config)))
}

// targetAt is how a target of an agent stands.
func targetAt(t *testing.T, n *proc.Node, i int) api.TargetReport {
	_, body := proc.Get(t, n, "/v1/status")
	var report api.StatusReport
	if err := json.Unmarshal([]byte(body), &report); err != nil || i >= len(report.Targets) {
		t.Fatalf("status: %s, %v", body, err)
	}
	return report.Targets[i]
}

// TestBackAtOnce has gateways refuse connections for a while, at TCP ports and unix
// sockets. Once one is back it is tried, long before the retries would come to it.
func TestBackAtOnce(t *testing.T) {
	longest := time.Duration(testkit.Setting(t, "AGENTCTL_TEST_OUTAGE_SECONDS", 6, 60)) * time.Second
	gateways := testkit.Setting(t, "AGENTCTL_TEST_OUTAGE_GATEWAYS", 20, 100)
	var gws []*stub.Gateway
	var urls []string
	for i := range gateways {
		addr := loopback.Addr()
		if i%4 == 3 {
			addr = filepath.Join(t.TempDir(), "g.sock")
		}
		gw, err := stub.NewGatewayAt(addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(gw.Close)
		gw.Refuse()
		gws, urls = append(gws, gw), append(urls, gw.URL())
	}
	n := withTargets(t, urls...)
	proc.NewPublisher(t, n)("x")
	began := time.Now()
	late := make([]time.Duration, gateways)
	var all sync.WaitGroup
	for i, gw := range gws {
		all.Go(func() {
			outage := time.After(time.Second + (longest-time.Second)*time.Duration(i)/time.Duration(gateways))
			<-outage
			// The retries are to be far away, so that they are not what is seen.
			var due time.Time
			testkit.WaitFor(t, "a long wait", func() bool {
				s := targetAt(t, n, i)
				due = s.NextAttempt
				return s.NextWhy == api.WhyRefused && time.Until(due) > time.Second
			})
			back := time.Now()
			if err := gw.Answer(http.StatusOK); err != nil {
				t.Error(err)
				return
			}
			testkit.WaitFor(t, "the event", func() bool { return len(gw.Taken()) == 1 })
			at := gw.Taken()[0].At
			if !at.Before(due) {
				t.Errorf("gateway %d was tried at %v, and not before the retry that was due at %v", i, at, due)
			}
			late[i] = at.Sub(back)
		})
	}
	all.Wait()
	slices.Sort(late)
	t.Logf("SUMMARY %d gateways were away for 1 s to %v: the next attempt began %v late at the median, %v at p99",
		gateways, time.Since(began).Round(time.Second), late[len(late)/2].Round(time.Millisecond), late[len(late)*99/100].Round(time.Millisecond))
}

// TestWaitsEnd has a gateway ask for a wait of 5 minutes. A restart of the gateway ends
// it, and so does an operator.
func TestWaitsEnd(t *testing.T) {
	gw, err := stub.NewGatewayAt(loopback.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gw.Close)
	n := withTargets(t, gw.URL())
	publish := proc.NewPublisher(t, n)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, end := range []func(){
		func() {
			// The agent looks once a second, later if it is short of time. Then it
			// has another chance.
			testkit.WaitFor(t, "the event after a restart", func() bool {
				gw.Refuse()
				<-time.After(2 * time.Second)
				must(gw.Answer(http.StatusOK))
				<-time.After(time.Second)
				return len(gw.Taken()) == 1
			})
		},
		func() { must(n.Cmd.Process.Signal(syscall.SIGHUP)) },
		func() {
			out := proc.Output(t, "agentctl", "replay", "-target=t0", "-now", "-http-addr="+n.HTTP)
			if !strings.HasPrefix(out, "t0 is tried at once; waiting: 1 event;") {
				t.Errorf("replay -now says %q", out)
			}
		},
	} {
		must(gw.Answer(http.StatusServiceUnavailable, "Retry-After", "100000"))
		publish(fmt.Sprint("event ", i))
		testkit.WaitFor(t, "a long wait", func() bool {
			s := targetAt(t, n, 0)
			return s.NextWhy == api.WhyRetryAfter && time.Until(s.NextAttempt) > 4*time.Minute
		})
		if i > 0 {
			must(gw.Answer(http.StatusOK))
		}
		end()
		must(gw.Answer(http.StatusOK))
		testkit.WaitFor(t, "the event", func() bool { return len(gw.Taken()) == i+1 })
	}
}

// TestAnswersWithoutAnEnd has a gateway answer 200, and never end the answer.
func TestAnswersWithoutAnEnd(t *testing.T) {
	ended := make(chan struct{})
	gw := testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-ended:
		}
	})
	defer close(ended)
	n := withTargets(t, gw.URL) // its timeout is 5 minutes
	publish := proc.NewPublisher(t, n)
	for i := range 20 {
		publish(fmt.Sprint("event ", i))
	}
	testkit.WaitFor(t, "all events to be taken", func() bool { return targetAt(t, n, 0).Delivered == 20 })
}
