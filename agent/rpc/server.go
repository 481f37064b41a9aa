package rpc

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/serf/coordinate"
	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent/admission"
	"agentctl/agent/logs"
	"agentctl/handler/backoff"
	"agentctl/rpcclient/wire"
)

// Published is what a client is told of its event, beside what serf tells.
type Published = wire.Published

// Backend is the serf agent that a server serves, each part of it from whoever
// has it. All of it is needed, and safe for concurrent use. The text of an error
// goes to the client as it is.
type Backend struct {
	Cluster Cluster
	Node    Node
	Keys    Keys
	// Publish publishes an event. What it returns goes to the client beside serf's
	// own answer.
	Publish func(ctx context.Context, name string, payload []byte, coalesce bool) (Published, error)
	Query   func(name string, payload []byte, params *serf.QueryParam) (*serf.QueryResponse, error)
	// SubscribeEvents calls fn with each event, in order and one call at a
	// time; fn does not block. After cancel has returned fn is not called
	// again. A query is given to fn before anyone can respond to it: serf
	// writes its deadline, unguarded, when it is responded to.
	SubscribeEvents func(fn func(serf.Event)) (cancel func())
	// SubscribeLogs calls fn likewise with each line of the log, recent lines
	// first. A line looks like "2026/11/23 10:00:00 [INFO] serf: text" and has
	// no newline. Lines below level may be among them, and need not be.
	SubscribeLogs func(level slog.Level, fn func(line string)) (cancel func())
}

// Cluster is the cluster as a node sees it, and the node's part in it.
type Cluster interface {
	Members() []serf.Member
	Join(addrs []string, replay bool) (int, error)
	ForceLeave(node string, prune bool) error
	Leave() error
	// Shutdown is called once the answer to a leave has been written, or could
	// not be. It returns at once.
	Shutdown()
}

// Node is what a node says of itself.
type Node interface {
	Stats() map[string]map[string]string
	UpdateTags(set map[string]string, remove []string) error
	Coordinate(node string) (*coordinate.Coordinate, bool) // of any node, as far as this one knows it
}

// Keys are the keys that encrypt gossip, on all members.
type Keys interface {
	InstallKey(key string) (*serf.KeyResponse, error)
	UseKey(key string) (*serf.KeyResponse, error)
	RemoveKey(key string) (*serf.KeyResponse, error)
	ListKeys() (*serf.KeyResponse, error)
}

// Config is a server's configuration. A zero value of any field but AuthKey,
// Logger and Metrics means its default.
type Config struct {
	AuthKey string                // clients have to send it; "" means that none is needed
	Logger  *slog.Logger          // nil discards
	Metrics prometheus.Registerer // nil counts nothing

	maxClients  int // connections at a time; 1024
	maxEach     int // connections of one client; three quarters of maxClients
	maxStreams  int // streams, monitors and running queries of one connection; 64
	streamsEach int // and of one client; 512
	streamsAll  int // and of all clients; 1024
	streamQueue int // records that wait in one stream; 8192. A monitor has an eighth
	queueBytes  int // bytes that wait in all streams of one connection; 8 MiB
	queueEach   int // and in those of one client; 64 MiB
	queueAll    int // and in those of all clients; 128 MiB

	handshakeTimeout time.Duration // from accept to a successful handshake and auth; 10 s
	requestTimeout   time.Duration // from a request's first byte to its last; 30 s
	writeTimeout     time.Duration // for a client to take the next 64 KiB; 10 s

	preAuth wire.Limits // of a message before handshake and auth; 4 KiB, 64 items, depth 2
	limits  wire.Limits // of a message after; 1 MiB and 64 KiB, 65,536 items, depth 4
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.maxClients = cmp.Or(max(c.maxClients, 0), 1024)
	c.maxEach = cmp.Or(max(c.maxEach, 0), max(c.maxClients*3/4, 1))
	c.maxStreams = cmp.Or(max(c.maxStreams, 0), 64)
	c.streamsEach = cmp.Or(max(c.streamsEach, 0), 512)
	c.streamsAll = cmp.Or(max(c.streamsAll, 0), 1024)
	c.streamQueue = cmp.Or(max(c.streamQueue, 0), 8192)
	c.queueBytes = cmp.Or(max(c.queueBytes, 0), 8<<20)
	c.queueEach = cmp.Or(max(c.queueEach, 0), 64<<20)
	c.queueAll = cmp.Or(max(c.queueAll, 0), 128<<20)
	c.handshakeTimeout = cmp.Or(max(c.handshakeTimeout, 0), 10*time.Second)
	c.requestTimeout = cmp.Or(max(c.requestTimeout, 0), 30*time.Second)
	c.writeTimeout = cmp.Or(max(c.writeTimeout, 0), 10*time.Second)
	c.preAuth = cmp.Or(c.preAuth, wire.Limits{Bytes: 4 << 10, Depth: 2, Items: 64})
	c.limits = cmp.Or(c.limits, wire.Limits{Bytes: 1<<20 + 64<<10, Depth: 4, Items: 1 << 16})
	return c
}

// Server serves one agent to any number of listeners.
type Server struct {
	backend Backend
	cfg     Config
	authKey [sha256.Size]byte
	metrics *metrics
	hub     hub
	sampled logs.Sampled
	guesses *lines        // keys that are looked at
	wrong   chan struct{} // a slot for each wrong key whose answer is delayed
	large   *lines        // large requests
	larges  chan struct{} // a slot for each of them, over all clients
	clients *admission.Limit
	streams *admission.Share // all of them take part in what each event costs
	queued  atomic.Int64     // bytes in the queues of all connections
	serial  atomic.Uint64    // names clients of unix sockets, which have no address
}

// New returns a server. It panics if cfg.Metrics already has a server's metrics.
func New(b Backend, cfg Config) *Server {
	cfg = cfg.withDefaults()
	s := &Server{
		backend: b,
		cfg:     cfg,
		authKey: sha256.Sum256([]byte(cfg.AuthKey)),
		metrics: newMetrics(cfg.Metrics),
		hub:     hub{subscribe: b.SubscribeEvents, streams: map[*stream]none{}},
		guesses: newLines(maxGuesses),
		wrong:   make(chan struct{}, maxWrong),
		large:   newLines(maxLarge / 4),
		larges:  make(chan struct{}, maxLarge),
		clients: admission.NewLimit(cfg.maxClients, cfg.maxEach),
		streams: admission.NewShare(cfg.streamsAll, cfg.streamsEach),
	}
	s.sampled.Logger = cfg.Logger
	return s
}

// Serve accepts clients from ln until ctx ends. Then it closes ln and all its
// connections, waits until the requests that are being handled have returned,
// and returns nil. It returns an error only if ln was closed by someone else.
// It is safe for concurrent use with different listeners.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	var running sync.WaitGroup
	defer running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	running.Go(func() {
		<-ctx.Done()
		ln.Close() // an error says no more than that it is closed
	})

	pauses, failures := backoff.Backoff{Min: 5 * time.Millisecond, Max: time.Second}, 0
	for {
		conn, err := ln.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("rpc: listener %v was closed: %w", ln.Addr(), err)
		case err != nil:
			// Most likely the process is out of file descriptors: going on at
			// once would only spin.
			s.sampled.Log(slog.LevelError, "rpc: cannot accept clients, trying again", time.Minute, "error", err)
			failures++
			if backoff.Sleep(ctx, pauses.Ceiling(failures)) != nil {
				return nil
			}
			continue
		}
		failures = 0
		ctx, end := context.WithCancelCause(ctx)
		of, _, ok := s.clients.Admit(conn.RemoteAddr(), func() {
			end(errGivenUp)
			conn.Close()
		})
		if !ok {
			end(nil)
			conn.Close()
			s.reject(rejectClients, s.nameOf(conn), fmt.Errorf("%d clients are connected already, or %d from there", s.cfg.maxClients, s.cfg.maxEach))
			continue
		}
		running.Go(func() {
			defer of.Leave()
			s.serveConn(ctx, end, conn, of)
		})
	}
}

// nameOf is what the log calls a client.
func (s *Server) nameOf(conn net.Conn) string {
	if a := conn.RemoteAddr(); a != nil && a.Network() != "unix" && a.String() != "" {
		return a.String()
	}
	return fmt.Sprintf("unix#%d", s.serial.Add(1))
}

// rejections are what the log calls a refusal that stock serf has words for.
var rejections = map[string]logs.Kind{
	rejectHandshake: "rpc: a request was refused",
	rejectCommand:   "rpc: a request was refused",
	rejectAuth:      "rpc: a client has not shown a right key",
	rejectMalformed: "rpc: a request could not be read",
}

// reject counts and logs a connection that the server ended or refused.
func (s *Server) reject(reason, client string, err error) {
	s.metrics.rejected.WithLabelValues(reason).Inc()
	s.sampled.Log(slog.LevelWarn, cmp.Or(rejections[reason], "rpc: client refused"), time.Second, "reason", reason, "client", client, "error", err)
}
