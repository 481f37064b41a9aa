package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/agent/api"
)

// lateAgent answers with an open report, some time after the wait that it is asked for.
type lateAgent struct {
	by    time.Duration
	waits []time.Duration
}

func (a *lateAgent) RoundTrip(r *http.Request) (*http.Response, error) {
	wait, err := time.ParseDuration(r.URL.Query().Get("wait"))
	if err != nil {
		return nil, err
	}
	a.waits = append(a.waits, wait)
	select {
	case <-time.After(wait + a.by):
		return &http.Response{StatusCode: http.StatusOK, Request: r, Body: io.NopCloser(strings.NewReader(`{"id":"1-a","open":true,"nodes":[]}`))}, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// inTurn answers each request with the next of its reports.
type inTurn []string

func (a *inTurn) RoundTrip(r *http.Request) (*http.Response, error) {
	body := (*a)[0]
	*a = (*a)[1:]
	return &http.Response{StatusCode: http.StatusOK, Request: r, Body: io.NopCloser(strings.NewReader(body))}, nil
}

// A node that leaves between two questions of one wait, and had not applied the event, is
// named: the agent has forgotten it.
func TestAWaitRemembersWhoLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := newOpsClient("127.0.0.1:1")
		client.http.Transport = &inTurn{
			`{"id":"1-a","open":true,"nodes":[{"node":"a","state":"applied"},{"node":"b","state":"waiting"},{"node":"c","state":"refused"},{"node":"d","state":"waiting"}]}`,
			`{"id":"1-a","applied":true,"nodes":[{"node":"d","state":"applied"}]}`,
		}
		report, err := nodesOf(t.Context(), client, "1-a", time.Now().Add(time.Minute))
		var got []string
		for _, n := range report.Nodes {
			got = append(got, n.Node+" "+string(n.State)+" "+n.Error)
		}
		if want := "b unasked it left the cluster meanwhile, c refused , d applied "; err != nil || report.Applied || strings.Join(got, ", ") != want {
			t.Errorf("%v, %v: %s, want %s", err, report.Applied, strings.Join(got, ", "), want)
		}
	})
}

// The command ends in time, whatever waits the agent is asked for on the way, and leaves
// the agent as much of the time as it can.
func TestAWaitEndsInTime(t *testing.T) {
	t.Parallel()
	for _, wait := range []time.Duration{50 * time.Millisecond, 500 * time.Millisecond, 2 * time.Second, 6 * time.Second, 20 * time.Second, 21 * time.Second, 45 * time.Second, time.Minute} {
		for _, by := range []time.Duration{0, time.Millisecond, 200 * time.Millisecond, time.Hour} {
			synctest.Test(t, func(t *testing.T) {
				agent := &lateAgent{by: by}
				client := newOpsClient("127.0.0.1:1")
				client.http.Transport = agent
				began := time.Now()
				var out strings.Builder
				w := waiting{ops: opsOfEnvironment(), wait: wait, until: began.Add(wait), out: &out}
				ctx, cancel := w.limit(t.Context())
				defer cancel()
				code, err := w.outcome(ctx, client, "1-a", began, nil)
				if code != notApplied || err != nil {
					t.Errorf("%v: status %d, %v", wait, code, err)
				}
				if took := time.Since(began); took > max(wait, leastWait) {
					t.Errorf("a wait of %v took %v with an agent late by %v", wait, took, by)
				}
				asked := time.Duration(0)
				for _, part := range agent.waits {
					if part <= 0 || part > api.MaxNodesWait {
						t.Errorf("the agent is asked to wait for %v", part)
					}
					asked += part
				}
				if by == 0 && asked < wait-2*nodesMargin {
					t.Errorf("of %v the agent is asked for %v", wait, agent.waits)
				}
			})
		}
	}
}

func TestTheEndpointThatAnAgentNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ rpc, told, want string }{
		{"127.0.0.1:7373", "127.0.0.1:7374", "127.0.0.1:7374"},
		{"localhost:7373", "[::1]:7374", "[::1]:7374"},
		{"unix:/run/rpc", "127.0.0.1:7374", "127.0.0.1:7374"},
		{"unix:/run/rpc", "unix:/run/http", "unix:/run/http"},
		{"unix:/run/rpc", "[::]:7374", "127.0.0.1:7374"},
		{"10.0.0.5:7373", "[::]:7374", "10.0.0.5:7374"},
		{"10.0.0.5:7373", "0.0.0.0:7374", "10.0.0.5:7374"},
		{"node5:7373", "0.0.0.0:7374", "node5:7374"},
		{"[fd00::5]:7373", "[::]:7374", "[fd00::5]:7374"},
		{"10.0.0.5:7373", "10.0.0.5:7374", "10.0.0.5:7374"},
		// Here another agent may listen there, or none.
		{"10.0.0.5:7373", "127.0.0.1:7374", "error: only its own host"},
		{"node5:7373", "unix:/run/http", "error: only its own host"},
		{"127.0.0.1:7373", "", "error: names no operations endpoint"},
		{"127.0.0.1:7373", "somewhere", "error: is no address"},
	} {
		got, err := endpointOf(c.rpc, c.told)
		wantErr, fails := strings.CutPrefix(c.want, "error: ")
		switch {
		case fails && (err == nil || !strings.Contains(err.Error(), wantErr)):
			t.Errorf("%s, %s: %q, %v, want %s", c.rpc, c.told, got, err, c.want)
		case !fails && (err != nil || got != c.want):
			t.Errorf("%s, %s: %q, %v, want %s", c.rpc, c.told, got, err, c.want)
		}
	}
}
