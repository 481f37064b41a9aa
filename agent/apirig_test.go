package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentctl/handler"
	"agentctl/handler/delivery"
	"agentctl/handler/journal"
	"agentctl/handler/target"
	"agentctl/scripts/testkit"
)

// apiRig is the operations endpoint over a journal and targets, with no serf.
// Member events whose ID begins with "old" are outdated.
type apiRig struct {
	*httptest.Server
	agent *Agent
}

func newAPIRig(t *testing.T, limits journal.Config, targets ...target.Target) *apiRig {
	t.Helper()
	a := &Agent{opts: compiled(t, options()), registry: prometheus.NewRegistry(), journal: journal.New(limits)}
	a.logger, _ = testkit.NewLog()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, target := range targets {
		target.MinBackoff, target.MaxBackoff = time.Millisecond, 10*time.Millisecond
		target = target.WithDefaults()
		d, err := delivery.New(delivery.Config{Target: target, Journal: a.journal,
			Revise: func(_ context.Context, e handler.Event) (handler.Event, bool) {
				return e, !strings.HasPrefix(e.ID, "old")
			}})
		if err != nil {
			t.Fatal(err)
		}
		a.outlets = append(a.outlets, &outlet{name: target.Name, target: &target, delivery: d})
		wg.Go(func() {
			if err := d.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	r := &apiRig{Server: httptest.NewServer(a.newOps().Handler), agent: a}
	t.Cleanup(func() {
		r.CloseClientConnections()
		r.Close()
		cancel()
		wg.Wait()
		a.journal.Close()
	})
	return r
}

func (r *apiRig) append(t *testing.T, events ...handler.Event) {
	t.Helper()
	if err := r.agent.journal.Append(events...); err != nil {
		t.Fatal(err)
	}
}

// ask sends a request, and returns its status and its error. An answer that is
// 2xx is read into v, which may be nil.
func (r *apiRig) ask(t *testing.T, method, path, body string, v any, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	resp, err := r.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if typ := resp.Header.Get("Content-Type"); typ != "application/json" && path != "/metrics" {
		t.Errorf("%s %s answers %q, want JSON", method, path, typ)
	}
	if resp.StatusCode/100 == 2 && v == nil {
		return resp.StatusCode, ""
	}
	var report ErrorReport
	if v == nil || resp.StatusCode/100 != 2 {
		v = &report
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		t.Fatalf("%s %s: %v: %s", method, path, err, data)
	}
	if resp.StatusCode/100 != 2 && report.Error == "" {
		t.Errorf("%s %s: status %d with no error", method, path, resp.StatusCode)
	}
	return resp.StatusCode, report.Error
}

// settled waits until targets have an outcome for all events, but those named.
func (r *apiRig) settled(t *testing.T, but ...string) {
	t.Helper()
	testkit.WaitFor(t, "the deliveries", func() bool {
		for _, o := range r.agent.outlets {
			if s := o.delivery.Status(); s.Waiting > 0 && !strings.Contains(strings.Join(but, " "), o.name) {
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
func threeTargets(t *testing.T) (r *apiRig, refuser *gateway, base time.Time) {
	t.Helper()
	taker, refuser, down := newGateway(t), newGateway(t), newGateway(t)
	refuser.down.Store(true)
	down.down.Store(true)
	r = newAPIRig(t, journal.Config{},
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
