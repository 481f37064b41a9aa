package agent

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"agentctl/agent/api"
	"agentctl/agent/config"
	"agentctl/agent/version"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// get reads a page of the operations endpoint.
func (n *node) get(t *testing.T, path string) (status int, body []byte) {
	t.Helper()
	resp, err := memory.Client(t).Get("http://" + n.HTTPAddr() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	if typ := resp.Header.Get("Content-Type"); path != "/metrics" && resp.StatusCode != http.StatusNotFound && typ != "application/json" {
		t.Errorf("%s is %q, want JSON", path, typ)
	}
	return resp.StatusCode, body
}

func TestOperationsEndpoint(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		secret := strings.Replace(gw.URL, "://", "://u:hidden@", 1)
		other := start(t)
		n := start(t, handlers("user:kong="+secret, "user=true"), func(o *config.Options) {
			o.HTTPAddr, o.RetryJoin = "127.0.0.1:0", []string{memory.Addr()}
		})
		if status, body := n.get(t, "/healthz"); status != http.StatusOK || !strings.Contains(string(body), `"ok"`) {
			t.Errorf("healthz: %d %s", status, body)
		}
		if status, body := n.get(t, "/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(string(body), "no node could be joined yet") {
			t.Errorf("readyz before a join: %d %s", status, body)
		}
		joined := func(want string) {
			t.Helper()
			if _, body := n.get(t, "/metrics"); !strings.Contains(string(body), "\nagentctl_joined "+want+"\n") {
				t.Errorf("the metric of a join is not %s", want)
			}
		}
		joined("0")
		join(t, other, n)
		if status, body := n.get(t, "/readyz"); status != http.StatusOK {
			t.Errorf("readyz after a join: %d %s", status, body)
		}
		joined("1")
		if status, _ := n.get(t, "/v1/nothing"); status != http.StatusNotFound {
			t.Errorf("an unknown page: %d", status)
		}
		if err := n.Publish(t.Context(), "kong", []byte("x"), false); err != nil {
			t.Fatal(err)
		}
		testkit.WaitFor(t, "the delivery", func() bool { s := n.Targets()[0]; return s.Delivered == 1 && s.InFlight == 0 })
		testkit.WaitFor(t, "the script", func() bool { return testkit.Counter(t, n.Metrics(), "agentctl_scripts_run_total", "success") == 1 })

		_, body := n.get(t, "/v1/status")
		var got api.StatusReport
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&got); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		want := api.StatusReport{
			Node: n.opts.NodeName, Version: version.Version, State: "alive", Joined: true, Members: map[string]int{"alive": 2}, Links: 1,
			Targets: []api.TargetReport{{Target: strings.Replace(secret, "u:hidden@", "", 1) + "#user:kong", State: api.TargetOK, Delivered: 1}},
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(api.TargetReport{}, "Since", "LastDelivered", "Latency", "AttemptLatency"),
			cmpopts.IgnoreFields(api.StatusReport{}, "Journal")); diff != "" {
			t.Errorf("status (-want +got):\n%s", diff)
		}
		// Member events come when serf has gathered them.
		if j := got.Journal; j.Head < 1 || j.Retained != j.Head || time.Since(j.Oldest) > testkit.Patience || j.Disk != nil {
			t.Errorf("the journal: %+v", j)
		}
		_, metrics := n.get(t, "/metrics")
		problems, err := promlint.New(bytes.NewReader(metrics)).Lint()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("metric %s: %s", p.Metric, p.Text)
		}
		for _, line := range []string{
			`agentctl_events_published_total{result="success"} 1`,
			`agentctl_events_received_total{type="user",way="local"} 1`,
			`agentctl_scripts_run_total{result="success"} 1`,
		} {
			if !strings.Contains(string(metrics), line+"\n") {
				t.Errorf("no %s in the metrics:\n%s", line, metrics)
			}
		}
		if all := string(body) + string(metrics); strings.Contains(all, "hidden") {
			t.Error("a password is shown")
		}
		if err := n.Leave(); err != nil {
			t.Fatal(err)
		}
		if status, body := n.get(t, "/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(string(body), "the node is left") {
			t.Errorf("readyz after a leave: %d %s", status, body)
		}
		if status, _ := n.get(t, "/healthz"); status != http.StatusOK {
			t.Errorf("healthz after a leave: %d", status)
		}
	})
}
