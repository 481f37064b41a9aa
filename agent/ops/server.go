package ops

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"agentctl/agent/admission"
	"agentctl/agent/api"
	"agentctl/agent/durable"
	"agentctl/agent/fleet"
	"agentctl/agent/publish"
	"agentctl/handler/delivery"
	"agentctl/handler/journal"
	"agentctl/handler/journal/disk"
	"agentctl/handler/target"
)

// Config is what a [Server] is made of. The functions are called while requests
// are answered, from several goroutines at a time.
type Config struct {
	Node      string // this node's name
	HTTPAddr  string // as it was asked for: a host name in it is the server's own
	TokenFile string // holds the token that changes need; "" for none
	Logger    *slog.Logger
	Metrics   *prometheus.Registry // served, and given what this package counts

	Journal *journal.Journal
	DataDir string                     // "" if the journal is in memory
	Disk    func() (disk.Status, bool) // false if the journal is in memory
	Targets func() []Target            // that are served now

	Members func() []serf.Member
	State   func() string // serf's: alive, leaving, left or shutdown
	Joined  func() bool   // or nothing to join was asked for
	// JoinFailures are the names that could not be joined, each with the last cause.
	JoinFailures func() []string
	// Warns says what is wrong around this node, though the agent does its work.
	Warns  func() []string
	Queued func() int // events between serf and the journal
	// Trees is how the broadcast along trees stands; nil if there are none. It may be nil.
	Trees func() *api.TreesReport
	// Links counts the open peer links; nil if there are none.
	Links func() int

	// RPCAddr is where RPC clients are taken. Dial connects to it for a health
	// check; it is [net.Dialer.DialContext] if it is nil.
	RPCAddr net.Addr
	Dial    dialFunc
	// Probes are asked for something small that only a working part can give. Each
	// is named by what is wrong while it does not return.
	Probes map[string]func()

	// Publish publishes an event, as [publish.Publisher.Report] does. Then it waits
	// until n nodes have it on their disks, as [durable.Durable.Publish] does.
	Publish func(ctx context.Context, n int, name string, payload []byte, coalesce bool) (publish.Sent, durable.Report, error)
	// PublishAll publishes events in their order, as [publish.Publisher.PublishAll] does.
	PublishAll func(ctx context.Context, events []publish.Event) ([]publish.Sent, error)
	// MaxEvent is the most that name and payload may have together, in bytes.
	MaxEvent int
	// Ceiling is what MaxEvent can be set to at most; an error names it.
	Ceiling int

	// Others asks the other members about an event; nil if there are no links.
	Others *Others
}

// dialFunc connects to an address, as [net.Dialer.DialContext] does.
type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// Target is a target that is served.
type Target struct {
	*target.Target
	Delivery *delivery.Delivery
}

// Server is the operations endpoint. Its methods are safe for concurrent use.
type Server struct {
	cfg     Config
	ln      net.Listener // nil if no HTTP is served
	http    *http.Server
	door    *door
	history *history
	nodes   *nodeAsker   // nil if there are no links
	fleet   *fleet.Fleet // likewise
	probes  probes
	durable *admission.Share // durable publishes
	batches *admission.Share
}

// New makes a server on a listener, which is the server's from then on. It serves
// no HTTP if ln is nil.
func New(ln net.Listener, c Config) *Server {
	s := &Server{cfg: c, ln: ln, history: newHistory(c.Journal, c.Targets), durable: twice(api.MaxDurableWaiting), batches: twice(api.MaxBatches)}
	if c.Others != nil {
		s.nodes = newNodeAsker(c.Node, c.Members, *c.Others, s.history.outcomes)
		s.nodes.targets = s.history.recipients
		c.Metrics.MustRegister(s.nodes.handled)
		s.fleet = fleet.New(fleet.Config{
			Self: c.Node, Members: c.Members, Living: c.Others.Living, Peers: c.Others.Peers,
			Ask: c.Others.AskStatus, Status: s.status, Metrics: c.Metrics,
		})
	}
	if s.cfg.Dial == nil {
		s.cfg.Dial = (&net.Dialer{}).DialContext
	}
	registerCollectors(c.Metrics, s)
	s.door = newDoor(c.Logger, c.Metrics)
	s.http = &http.Server{
		Handler:           s.door.serve(s.routes()),
		ConnContext:       withConn,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(c.Logger.Handler(), slog.LevelDebug),
	}
	return s
}

// Addr is the address of the listener, nil if no HTTP is served.
func (s *Server) Addr() net.Addr {
	if s.ln == nil {
		return nil
	}
	return s.ln.Addr()
}

// Run serves HTTP until ctx ends. Requests under way are cut off then.
func (s *Server) Run(ctx context.Context) error {
	if s.ln == nil {
		return nil
	}
	stop := context.AfterFunc(ctx, func() { s.http.Close() })
	defer stop()
	if err := s.http.Serve(admitting{s.ln, s.door}); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("operations endpoint: %w", err)
	}
	return nil
}

// Close closes the listener, for a server that is not run.
func (s *Server) Close() error {
	if s.ln == nil {
		return nil
	}
	return s.ln.Close()
}

// routes are the paths, and what answers at each.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	methods := map[string][]string{} // by path
	handle := func(method, path string, h http.HandlerFunc) {
		mux.HandleFunc(method+" "+path, h)
		methods[path] = append(methods[path], method)
	}
	// What the network's probes ask for, by whatever name they know this host.
	handle("GET", "/healthz", answer(s.healthz))
	handle("GET", "/readyz", answer(s.readyz))
	handle("GET", "/metrics", promhttp.HandlerFor(s.cfg.Metrics, promhttp.HandlerOpts{}).ServeHTTP)

	own := func(h http.HandlerFunc) http.HandlerFunc { return ownHost(s.cfg.HTTPAddr, ownOrigin(h)) }
	handle("GET", "/v1/status", own(answer(func(*http.Request) (int, any, error) {
		return http.StatusOK, s.status(), nil
	})))
	handle("GET", "/v1/cluster", own(answer(s.cluster)))
	handle("GET", "/v1/events", own(s.history.list))
	handle("GET", "/v1/events/{id}", own(answer(s.history.show)))
	handle("GET", "/v1/recipients", own(answer(s.recipients)))
	handle("GET", "/v1/events/{id}/nodes", own(answer(s.nodes.serve)))
	// What changes something.
	change := func(h http.HandlerFunc) http.HandlerFunc { return own(withToken(s.cfg.TokenFile, h)) }
	handle("POST", "/v1/events", change(s.post))
	handle("POST", "/v1/replay", change(answer(s.history.startReplay)))
	handle("POST", "/v1/dismiss", change(answer(s.history.dismiss)))
	handle("GET", "/v1/replay/{id}", own(answer(s.history.showReplay)))
	for path, allowed := range methods {
		mux.HandleFunc(path, methodNotAllowed(strings.Join(allowed, ", ")))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, errorf(http.StatusNotFound, "there is no %s here", r.URL.Path))
	})
	return noSniff(mux)
}
