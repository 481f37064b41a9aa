package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// devEntities are what the small gateway's clients keep reading, so that there
// is something in its caches.
var devEntities = []string{"apis:1", "apis:2", "consumers:1", "plugins:1"}

// devGateway is a small gateway of Kong's kind in this process: an endpoint
// for events that hands each to several workers, each of which drops keys from
// a cache of its own.
type devGateway struct {
	name    string
	workers []*devWorker
	version atomic.Int64 // of the entities in the shared store; each change adds one
	failing atomic.Int64 // until when it answers 500, in Unix nanoseconds
	applied func(gateway string, a devApplied)

	mu    sync.Mutex
	nodes map[string]bool // that it was told of

	ln  net.Listener
	srv *http.Server
}

// devApplied is what one event did in a gateway.
type devApplied struct {
	eventName string // of a user event, from the headers, as eventID
	eventID   string
	body      []byte
	kind      string // such as ENTITY_UPDATED
	dropped   int    // keys, in all workers together
	key       string // such as apis:1; "" for all
	workers   int
}

// devWorker is a worker process's share of a gateway.
type devWorker struct {
	id    int
	mu    sync.Mutex
	cache map[string]int64 // key to the version it was read at
}

// newDevGateway listens on addr and serves until Close.
func newDevGateway(name, addr string, workers int, applied func(string, devApplied)) (*devGateway, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("gateway %s: %w", name, err)
	}
	g := &devGateway{name: name, ln: ln, applied: applied, nodes: map[string]bool{}}
	g.version.Store(1)
	for i := range workers {
		w := &devWorker{id: i + 1, cache: map[string]int64{}}
		w.read(1)
		g.workers = append(g.workers, w)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /cluster/events/", g.events)
	mux.HandleFunc("GET /{collection}/{id}", g.entity)
	g.srv = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go g.srv.Serve(ln) // it returns when closed
	return g, nil
}

// URL is the gateway's address without a path.
func (g *devGateway) URL() string { return "http://" + g.ln.Addr().String() }

func (g *devGateway) Close() { g.srv.Close() }

// failFor makes the gateway answer 500 for a while.
func (g *devGateway) failFor(d time.Duration) { g.failing.Store(time.Now().Add(d).UnixNano()) }

// clusterMessage is what an event's body says.
type clusterMessage struct {
	Type       string            `json:"type"`
	Collection string            `json:"collection"`
	PrimaryKey []string          `json:"primary_key"`
	Entity     json.RawMessage   `json:"entity"`
	fields     map[string]string // of an entity that is an object
}

// events is the endpoint: it answers as Kong's does.
func (g *devGateway) events(w http.ResponseWriter, r *http.Request) {
	fail := func(code int, text string) { http.Error(w, text, code) }
	if r.Header.Get("Content-Type") == "" {
		fail(http.StatusUnsupportedMediaType, "no content type")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		fail(http.StatusRequestEntityTooLarge, err.Error())
		return
	}
	m, err := readMessage(body)
	if err != nil {
		fail(http.StatusBadRequest, err.Error())
		return
	}
	if time.Now().UnixNano() < g.failing.Load() {
		fail(http.StatusInternalServerError, "the database is away")
		return
	}
	a := g.apply(m)
	a.eventName, a.eventID, a.body = r.Header.Get("X-Serf-Event-Name"), r.Header.Get("X-Serf-Event-Id"), body
	g.applied(g.name, a)
	w.WriteHeader(http.StatusOK)
}

func readMessage(body []byte) (clusterMessage, error) {
	var m clusterMessage
	if err := json.Unmarshal(body, &m); err != nil {
		return m, fmt.Errorf("the body is not JSON: %w", err)
	}
	if m.Type == "" {
		return m, errors.New("the body has no type")
	}
	m.Type = strings.ToUpper(m.Type)
	var fields map[string]any
	if json.Unmarshal(m.Entity, &fields) == nil {
		m.fields = map[string]string{}
		for k, v := range fields {
			m.fields[k] = fmt.Sprint(v)
		}
	}
	return m, nil
}

// apply hands the message to every worker and waits for all of them.
func (g *devGateway) apply(m clusterMessage) devApplied {
	a := devApplied{kind: m.Type, workers: len(g.workers)}
	switch m.Type {
	case "ENTITY_CREATED", "ENTITY_UPDATED", "ENTITY_DELETED":
		var ids []string
		for _, k := range m.PrimaryKey {
			ids = append(ids, m.fields[k])
		}
		a.key = m.Collection + ":" + strings.Join(ids, ":")
	case "MEMBER-JOIN":
		if g.join(m.Entity) < 2 {
			return a // alone there is nobody that could have changed anything
		}
	case "MEMBER-REAP":
	default:
		return a
	}
	version := g.version.Add(1)
	var dropped atomic.Int64
	var wg sync.WaitGroup
	for _, w := range g.workers {
		wg.Go(func() { dropped.Add(int64(w.drop(a.key, version))) })
	}
	wg.Wait()
	a.dropped = int(dropped.Load())
	return a
}

// join notes the nodes of a member event, whose entity has a line for each that
// begins with the name, and returns how many are known.
func (g *devGateway) join(entity json.RawMessage) int {
	var lines string
	if json.Unmarshal(entity, &lines) != nil {
		lines = ""
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for line := range strings.Lines(lines) {
		if fields := strings.Fields(line); len(fields) > 0 {
			g.nodes[fields[0]] = true
		}
	}
	return len(g.nodes)
}

// drop deletes a key, or all for "", and counts what was there. The clients
// that keep reading fill the cache again at once, with the present version.
func (w *devWorker) drop(key string, version int64) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := len(w.cache)
	if key == "" {
		clear(w.cache)
	} else {
		delete(w.cache, key)
	}
	n := before - len(w.cache)
	w.fill(version)
	return n
}

func (w *devWorker) read(version int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fill(version)
}

// fill reads what the clients want and is not cached. w.mu is held.
func (w *devWorker) fill(version int64) {
	for _, key := range devEntities {
		if _, ok := w.cache[key]; !ok {
			w.cache[key] = version
		}
	}
}

// entity shows which version of an entity each worker serves.
func (g *devGateway) entity(w http.ResponseWriter, r *http.Request) {
	key := r.PathValue("collection") + ":" + r.PathValue("id")
	versions := map[string]int64{}
	for _, wk := range g.workers {
		wk.mu.Lock()
		if v, ok := wk.cache[key]; ok {
			versions[fmt.Sprintf("worker%d", wk.id)] = v
		}
		wk.mu.Unlock()
	}
	w.Header().Set("Content-Type", "application/json")
	if len(versions) == 0 {
		w.WriteHeader(http.StatusNotFound)
	}
	parts := []string{}
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		parts = append(parts, fmt.Sprintf("%q: %d", name, versions[name]))
	}
	fmt.Fprintf(w, "{\"entity\": %q, \"cached_version\": {%s}}\n", key, strings.Join(parts, ", "))
}
