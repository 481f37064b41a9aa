package agent

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"agentctl/handler"
)

// statusReport is the answer of /v1/status.
type statusReport struct {
	Node    string           `json:"node"`
	Version string           `json:"version"`
	State   string           `json:"state"` // serf's: alive, leaving, left or shutdown
	Joined  bool             `json:"joined"`
	Members map[string]int   `json:"members"` // by status
	Targets []handler.Status `json:"targets"`
}

// newOps is the operations endpoint: /healthz, /readyz, /metrics, /v1/status.
func (a *Agent) newOps() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		reasons := a.notReady()
		if len(reasons) > 0 {
			writeJSON(w, http.StatusServiceUnavailable, map[string]any{"status": "not ready", "reasons": reasons})
			return
		}
		writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
	})
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, a.status())
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{}))
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(a.logger.Handler(), slog.LevelDebug),
	}
}

// notReady says what keeps the agent from doing its work.
func (a *Agent) notReady() (reasons []string) {
	select {
	case <-a.joined:
	default:
		reasons = append(reasons, "no node could be joined yet")
	}
	if state := a.serf.State().String(); state != "alive" {
		reasons = append(reasons, "the node is "+state)
	}
	return reasons
}

func (a *Agent) status() statusReport {
	report := statusReport{
		Node:    a.opts.NodeName,
		Version: Version,
		State:   a.serf.State().String(),
		Members: map[string]int{},
		Targets: a.Targets(),
	}
	select {
	case <-a.joined:
		report.Joined = true
	default:
	}
	for _, m := range a.serf.Members() {
		report.Members[m.Status.String()]++
	}
	return report
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.Encode(v) // the client has gone
}
