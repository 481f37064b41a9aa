package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"agentctl/agent/api"
	"agentctl/rpcclient"
)

// newPublisher connects to a node and returns what publishes a kong event there.
func newPublisher(t *testing.T, n *node) func(payload string) {
	t.Helper()
	c, err := rpcclient.Dial(t.Context(), rpcclient.Config{Addr: n.rpc})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return func(payload string) {
		t.Helper()
		if err := c.Event(t.Context(), "kong", []byte(payload), false); err != nil {
			t.Fatal(err)
		}
	}
}

// statusOf asks an agent how its one target stands.
func statusOf(t *testing.T, n *node) api.TargetReport {
	t.Helper()
	client := http.Client{Timeout: pollLimit}
	res, err := client.Get("http://" + n.http + "/v1/status")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var report struct{ Targets []api.TargetReport }
	if err := json.NewDecoder(res.Body).Decode(&report); err != nil || len(report.Targets) != 1 {
		t.Fatalf("status: %+v, %v", report, err)
	}
	return report.Targets[0]
}

// bodies are the payloads of posts, in order.
func bodies(posts []post) []string {
	out := make([]string, len(posts))
	for i, p := range posts {
		out[i] = string(p.body)
	}
	return out
}

// TestFaults takes one agent's gateway through the ways to fail while events
// are published: each event arrives once the gateway is well, in order.
func TestFaults(t *testing.T) {
	t.Parallel()
	gw, err := newGateway()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gw.close)
	n := newAgent(t, "web1", "-event-handler=user:kong="+gw.url())
	publish := newPublisher(t, n)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var want []string
	some := func(phase string) {
		for i := range 5 {
			want = append(want, fmt.Sprintf("%s %d", phase, i))
			publish(want[len(want)-1])
		}
	}

	gw.refuse()
	some("refused")
	eventually(t, "the agent notices that connections are refused", func() bool {
		return strings.Contains(statusOf(t, n).LastError, "connection refused")
	})
	must(gw.hang())
	some("hung")
	eventually(t, "the agent gives an attempt up", func() bool {
		return strings.Contains(statusOf(t, n).LastError, "no answer within")
	})
	must(gw.answer(http.StatusInternalServerError))
	some("failed")
	eventually(t, "an attempt is answered 500", func() bool { return len(gw.answered(500)) > 0 })
	must(gw.answer(http.StatusTooManyRequests, "Retry-After", "1"))
	some("throttled")
	eventually(t, "an attempt is answered 429", func() bool { return len(gw.answered(429)) > 0 })
	if s := statusOf(t, n); s.State != api.TargetRetrying || s.Waiting != len(want) || s.Delivered != 0 {
		t.Errorf("status while nothing gets through: %+v, want %d waiting", s, len(want))
	}
	must(gw.answer(http.StatusOK))
	some("well")
	eventually(t, "all events arrive", func() bool { return len(gw.taken()) >= len(want) })

	if got := bodies(gw.taken()); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("arrived:\n%q\nwant, in this order:\n%q", got, want)
	}
	// All that waited did so behind the first, which alone was tried.
	for _, status := range []int{0, 500, 429} {
		for _, p := range gw.answered(status) {
			if string(p.body) != want[0] {
				t.Errorf("while it waited, there was an attempt of another event: %s", p)
			}
		}
	}
	eventually(t, "the agent is well", func() bool {
		s := statusOf(t, n)
		return s.State == api.TargetOK && s.Waiting == 0 && int(s.Delivered) == len(want) && s.Buried == 0 && s.Lost == 0
	})
}

// TestBury publishes an event that the gateway refuses for good, among others:
// it is told of in one line and holds up nothing.
func TestBury(t *testing.T) {
	t.Parallel()
	gw, err := newGateway()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gw.close)
	gw.judge = func(body []byte) int {
		if bytes.Contains(body, []byte("bad")) {
			return http.StatusBadRequest
		}
		return 0
	}
	n := newAgent(t, "web1", "-event-handler=user:kong="+gw.url())
	publish := newPublisher(t, n)
	var want []string
	for i := range 9 {
		payload := fmt.Sprintf("good %d", i)
		if i == 4 {
			publish("bad")
		}
		publish(payload)
		want = append(want, payload)
	}
	eventually(t, "the good events arrive", func() bool { return len(gw.taken()) >= len(want) })
	if got := bodies(gw.taken()); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("arrived %q, want %q", got, want)
	}
	if got := bodies(gw.answered(http.StatusBadRequest)); len(got) != 1 || got[0] != "bad" {
		t.Errorf("refused %q, want the bad one once", got)
	}
	eventually(t, "the status counts it", func() bool {
		s := statusOf(t, n)
		return s.State == api.TargetOK && s.Buried == 1 && s.Retried == 0 && int(s.Delivered) == len(want)
	})
	if lines := strings.Count(n.printed(), "refused an event for good"); lines != 1 {
		t.Errorf("%d lines about it in the log, want 1", lines)
	}
}
