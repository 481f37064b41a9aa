package ops

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/agent/api"
	"agentctl/handler/journal"
	"agentctl/handler/journal/disk"
	"agentctl/rpcclient/wire"
	"agentctl/scripts/testkit/memory"
)

// What hangs is named, and asked once, however often one looks.
func TestPartsThatHang(t *testing.T) {
	bubble(t, func(t *testing.T) {
		free := make(chan struct{})
		s := &Server{cfg: Config{Probes: map[string]func(){
			"b hangs": func() { <-free },
			"a hangs": func() { <-free },
			"c works": func() {},
		}}}
		for range 3 {
			begun := time.Now()
			if got := s.Hung(t.Context()); !slices.Equal(got, []string{"a hangs", "b hangs"}) {
				t.Errorf("hung: %q", got)
			}
			if took := time.Since(begun); took != probeTime {
				t.Errorf("it took %v", took)
			}
			if n := len(s.probes.waiting); n != 2 {
				t.Errorf("%d probes wait, want 2", n)
			}
		}
		close(free)
		synctest.Wait()
		if got := s.Hung(t.Context()); got != nil {
			t.Errorf("all is well again: %q", got)
		}
	})
}

// An agent of which a part hangs is neither well nor ready, and the probes get an answer
// even where that part would be asked for more.
func TestHealthTellsWhatHangs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		free := make(chan struct{})
		j := journal.New(journal.Config{})
		defer j.Close()
		c := testConfig(j)
		c.Probes = map[string]func(){"it hangs": func() { <-free }}
		c.State = func() string { <-free; return "alive" }
		c.Warns = func() []string { <-free; return nil }
		s := New(nil, c)
		for path, status := range map[string]string{"/healthz": "failing", "/readyz": "not ready", "/readyz?targets=ok": "not ready"} {
			w := httptest.NewRecorder()
			s.http.Handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", path, nil))
			var got api.HealthReport
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if w.Code != http.StatusServiceUnavailable || got.Status != status || !slices.Equal(got.Reasons, []string{"it hangs"}) {
				t.Errorf("%s: %d %+v", path, w.Code, got)
			}
		}
		close(free)
	})
}

// health is an answer to a probe.
type health struct {
	code int
	api.HealthReport
}

func (r *rig) get(t *testing.T, path string) (h health) {
	t.Helper()
	resp, err := client(t).Get(r.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&h.HealthReport); err != nil {
		t.Fatal(err)
	}
	h.code = resp.StatusCode
	return h
}

// rpcServer takes RPC clients until the test ends.
func rpcServer(t *testing.T) net.Listener {
	ln := memory.Listen(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			var header wire.RequestHeader
			var hello wire.HandshakeRequest
			in := wire.NewReader(conn, wire.DefaultLimits)
			if in.Read(&header) == nil && in.Read(&hello) == nil {
				wire.NewWriter(conn).Write(wire.ResponseHeader{Seq: header.Seq}, nil)
			}
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		<-done
	})
	return ln
}

func TestWhatMakesAnAgentReady(t *testing.T) {
	bubble(t, func(t *testing.T) {
		rpc := rpcServer(t)
		var disk diskState
		var warnings []string
		state, joined := "alive", true
		var failures []string
		r := newRigWith(t, journal.Config{}, func(c *Config) {
			c.RPCAddr, c.Dial, c.Disk = rpc.Addr(), memory.Network(t).Dial, disk.get
			c.State, c.Joined = func() string { return state }, func() bool { return joined }
			c.JoinFailures = func() []string { return failures }
			c.Warns = func() []string { return warnings }
		})
		want := func(reason string) {
			t.Helper()
			got := r.get(t, "/readyz")
			if reason == "" && (got.code != http.StatusOK || got.Status != "ready" || got.Reasons != nil) {
				t.Errorf("all is well: %+v", got)
			}
			if reason != "" && (got.code != http.StatusServiceUnavailable || got.Status != "not ready" || len(got.Reasons) != 1 || !strings.HasPrefix(got.Reasons[0], reason)) {
				t.Errorf("%+v, want %q", got, reason)
			}
		}
		want("")
		joined = false
		want("no node could be joined yet")
		failures = []string{"gw2:7946: connection refused"}
		want("no node could be joined yet: gw2:7946: connection refused")
		failures = slices.Repeat(failures, 1000)
		got := r.get(t, "/readyz")
		if len(got.Reasons) != 11 || got.Reasons[9] != got.Reasons[0] || got.Reasons[10] != "no node could be joined yet: and 990 more, see the log" {
			t.Errorf("of 1000 names: %q", got.Reasons)
		}
		joined, state = true, "left"
		want("the node is left")
		state = "alive"
		disk.Degraded, disk.Error = true, "no space left on device"
		want("the journal's disk fails or lags, what comes is in memory only: no space left on device")
		var report api.StatusReport
		if r.ask(t, "GET", "/v1/status", "", &report); report.Journal.Disk == nil || !report.Journal.Disk.Degraded {
			t.Errorf("the report: %+v", report.Journal)
		}
		disk.Degraded = false
		warnings = []string{"a port is closed"}
		if got := r.get(t, "/readyz"); got.code != http.StatusOK || got.Status != "ready" || !slices.Equal(got.Warnings, warnings) {
			t.Errorf("with a warning: %+v", got)
		}
		if r.ask(t, "GET", "/v1/status", "", &report); !slices.Equal(report.Warnings, warnings) {
			t.Errorf("the report: %+v", report)
		}
		rpc.Close()
		want("RPC takes no clients: ")
	})
}

// diskState is a disk that stands as it is told to.
type diskState struct{ disk.Status }

func (d *diskState) get() (disk.Status, bool) { return d.Status, true }

// An RPC server that hangs takes no clients.
func TestRPCThatHangs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ln := memory.Listen(t)
		defer ln.Close()
		ping := func(what string) {
			t.Helper()
			begun := time.Now()
			if err := pingRPC(t.Context(), memory.Network(t).Dial, ln.Addr()); err == nil {
				t.Errorf("%s: it is said to take clients", what)
			}
			if took := time.Since(begun); took != probeTime {
				t.Errorf("%s: it took %v", what, took)
			}
		}
		ping("it accepts nobody")
		accepted := make(chan net.Conn, 1)
		go func() {
			conn, err := ln.Accept()
			if err != nil {
				t.Error(err)
			}
			accepted <- conn
		}()
		ping("it answers nobody")
		if conn := <-accepted; conn != nil {
			conn.Close()
		}
	})
}
