package delivery

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"agentctl/agent/api"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stub"
)

// TestFaults takes one agent's gateway through the ways to fail while events
// are published: each event arrives once the gateway is well, in order.
func TestFaults(t *testing.T) {
	gw, err := stub.NewGateway()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gw.Close)
	n := proc.NewAgent(t, "web1", "-event-handler=user:kong="+gw.URL())
	publish := proc.NewPublisher(t, n)
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

	gw.Refuse()
	some("refused")
	testkit.WaitFor(t, "the agent notices that connections are refused", func() bool {
		return strings.Contains(proc.StatusOf(t, n).LastError, "connection refused")
	})
	must(gw.Hang())
	some("hung")
	testkit.WaitFor(t, "the agent gives an attempt up", func() bool {
		return strings.Contains(proc.StatusOf(t, n).LastError, "no answer within")
	})
	must(gw.Answer(http.StatusInternalServerError))
	some("failed")
	testkit.WaitFor(t, "an attempt is answered 500", func() bool { return len(gw.Answered(500)) > 0 })
	must(gw.Answer(http.StatusTooManyRequests, "Retry-After", "1"))
	some("throttled")
	testkit.WaitFor(t, "an attempt is answered 429", func() bool { return len(gw.Answered(429)) > 0 })
	if s := proc.StatusOf(t, n); s.State != api.TargetRetrying || s.Waiting != len(want) || s.Delivered != 0 {
		t.Errorf("status while nothing gets through: %+v, want %d waiting", s, len(want))
	}
	must(gw.Answer(http.StatusOK))
	some("well")
	testkit.WaitFor(t, "all events arrive", func() bool { return len(gw.Taken()) >= len(want) })

	if got := stub.Bodies(gw.Taken()); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("arrived:\n%q\nwant, in this order:\n%q", got, want)
	}
	// All that waited did so behind the first, which alone was tried.
	for _, status := range []int{0, 500, 429} {
		for _, p := range gw.Answered(status) {
			if string(p.Body) != want[0] {
				t.Errorf("while it waited, there was an attempt of another event: %s", p)
			}
		}
	}
	testkit.WaitFor(t, "the agent is well", func() bool {
		s := proc.StatusOf(t, n)
		return s.State == api.TargetOK && s.Waiting == 0 && int(s.Delivered) == len(want) && s.Buried == 0 && s.Lost == 0
	})
}

// TestBury publishes an event that the gateway refuses for good, among others:
// it is told of in one line and holds up nothing.
func TestBury(t *testing.T) {
	gw, err := stub.NewGateway()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gw.Close)
	gw.Judge = func(body []byte) int {
		if bytes.Contains(body, []byte("bad")) {
			return http.StatusBadRequest
		}
		return 0
	}
	n := proc.NewAgent(t, "web1", "-event-handler=user:kong="+gw.URL())
	publish := proc.NewPublisher(t, n)
	var want []string
	for i := range 9 {
		payload := fmt.Sprintf("good %d", i)
		if i == 4 {
			publish("bad")
		}
		publish(payload)
		want = append(want, payload)
	}
	testkit.WaitFor(t, "the good events arrive", func() bool { return len(gw.Taken()) >= len(want) })
	if got := stub.Bodies(gw.Taken()); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("arrived %q, want %q", got, want)
	}
	if got := stub.Bodies(gw.Answered(http.StatusBadRequest)); len(got) != 1 || got[0] != "bad" {
		t.Errorf("refused %q, want the bad one once", got)
	}
	testkit.WaitFor(t, "the status counts it", func() bool {
		s := proc.StatusOf(t, n)
		return s.State == api.TargetOK && s.Buried == 1 && s.Retried == 0 && int(s.Delivered) == len(want)
	})
	testkit.WaitFor(t, "one line of the log tells of it", func() bool { return strings.Count(n.Printed(), "refused an event for good") == 1 })
}
