package agent

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"agentctl/agent/api"
	"agentctl/agent/version"
	"agentctl/handler/journal/disk"
)

// newOps is the operations endpoint: health, metrics, and the API.
func (a *Agent) newOps() *http.Server {
	h := newHistory(a.journal, a.servedOutlets)
	mux := http.NewServeMux()
	methods := map[string][]string{} // by path
	handle := func(method, path string, h http.HandlerFunc) {
		mux.HandleFunc(method+" "+path, h)
		methods[path] = append(methods[path], method)
	}
	// What the network's probes ask for, by whatever name they know this host.
	handle("GET", "/healthz", answer(a.healthz))
	handle("GET", "/readyz", answer(a.readyz))
	handle("GET", "/metrics", promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{}).ServeHTTP)

	own := func(h http.HandlerFunc) http.HandlerFunc { return ownHost(a.opts.HTTPAddr, ownOrigin(h)) }
	handle("GET", "/v1/status", own(answer(func(*http.Request) (int, any, error) {
		return http.StatusOK, a.status(), nil
	})))
	handle("GET", "/v1/events", own(h.list))
	handle("GET", "/v1/events/{id}", own(answer(h.show)))
	handle("GET", "/v1/events/{id}/nodes", own(answer(func(r *http.Request) (int, any, error) { return a.nodes.serve(r) })))
	// What changes something.
	change := func(f func(*http.Request) (int, any, error)) http.HandlerFunc {
		return own(withToken(a.opts.HTTPTokenFile, answer(f)))
	}
	handle("POST", "/v1/events", change(a.postEvent))
	handle("POST", "/v1/replay", change(h.startReplay))
	handle("GET", "/v1/replay/{id}", own(answer(h.showReplay)))
	for path, allowed := range methods {
		mux.HandleFunc(path, methodNotAllowed(strings.Join(allowed, ", ")))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, apiErrorf(http.StatusNotFound, "there is no %s here", r.URL.Path))
	})
	return &http.Server{
		Handler:           noSniff(mux),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       30 * time.Second, // an idle client takes the place of another
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(a.logger.Handler(), slog.LevelDebug),
	}
}

// keeper keeps the journal on a disk.
type keeper interface {
	Status() disk.Status
	Sync(context.Context) error
}

// diskStatus tells how the journal's disk stands; false where it has none.
func (a *Agent) diskStatus() (disk.Status, bool) {
	if a.disk == nil {
		return disk.Status{}, false
	}
	return a.disk.Status(), true
}

func (a *Agent) status() api.StatusReport {
	report := api.StatusReport{
		Node:    a.opts.NodeName,
		Version: version.Version,
		State:   a.serf.State().String(),
		Joined:  a.isJoined(),
		Members: map[string]int{},
		Journal: a.journalReport(),
		Targets: []api.TargetReport{},
	}
	for _, m := range a.serf.Members() {
		report.Members[m.Status.String()]++
	}
	for _, t := range a.Targets() {
		cursor, _ := a.journal.CursorStatus(t.Target)
		report.Targets = append(report.Targets, newTargetReport(&t, cursor.Buried))
	}
	return report
}

func (a *Agent) journalReport() api.JournalReport {
	r := api.JournalReport{Head: a.journal.Head()}
	for rec, err := range a.journal.Events(0) {
		if err != nil {
			break // it is closed
		}
		r.Oldest = rec.Event.Time
		r.Retained = max(r.Head, rec.Seq) - rec.Seq + 1 // the numbers have no holes
		break
	}
	if disk, ok := a.diskStatus(); ok {
		r.DataDir, r.Disk = a.opts.DataDir, newDiskReport(&disk)
	}
	return r
}

// servedOutlets are the targets and scripts that are served now.
func (a *Agent) servedOutlets() []*outlet {
	a.outletsMu.Lock()
	defer a.outletsMu.Unlock()
	return slices.Clone(a.outlets)
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	enc := newEncoder(w)
	enc.SetIndent("", "  ")
	enc.Encode(v) // the client has gone
}

// newEncoder leaves <, > and & as they are: these are no pages.
func newEncoder(w io.Writer) *json.Encoder {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc
}
