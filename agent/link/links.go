package link

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"agentctl/agent/logs"
)

// keysInterval is how often the keyring is looked at: a link whose key was
// taken off it ends within this time.
const keysInterval = time.Second

// Links are an agent's links to others, in both directions. All methods are
// safe for concurrent use.
type Links struct {
	cfg       Config
	party     party
	transport *Transport
	metrics   *metrics
	sampled   logs.Sampled
	sources   sources
	budget    budget        // of the streams of others
	opened    budget        // of those that this node opens
	handling  chan struct{} // a slot for each request that is handled here
	behind    chan struct{} // wakes the reporter of drops

	mu       sync.Mutex // taken before a peer's
	keys     []psk      // primary first, or the zero value alone for plain links; none trusts nobody
	running  bool
	started  bool
	ctx      context.Context // of Run
	wg       sync.WaitGroup  // what Run waits for; added to only while running
	peers    map[string]*peer
	accepted map[*link]struct{}
	dialed   map[*link]struct{}
}

// New returns links and starts their Transport, which is then to be given to
// memberlist or shut down; nothing else begins before Run. It panics if
// cfg.Metrics already has another one's metrics.
func New(cfg Config) (*Links, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	features := append([]string{featureOwnID, featureChecksum, featureBothWays}, cfg.Features...)
	features = slices.DeleteFunc(features, func(f string) bool {
		return f == featureChecksum && cfg.noChecksums || f == featureBothWays && cfg.noBothWays
	})
	l := &Links{
		cfg: cfg,
		party: party{
			self: hello{
				lo: minVersion, hi: maxVersion,
				maxMessage: cfg.MaxMessage, name: cfg.Name, features: features,
			},
			timeout: cfg.handshakeTimeout,
		},
		sampled:  logs.Sampled{Logger: cfg.Logger},
		handling: make(chan struct{}, cfg.maxRequests),
		behind:   make(chan struct{}, 1),
		peers:    make(map[string]*peer),
		accepted: make(map[*link]struct{}),
		dialed:   make(map[*link]struct{}),
	}
	l.sources.limit = sourcesLimit
	l.budget.init(peerMemory, func(lk *link) *holding { return &lk.held }, func(lk *link) string {
		if l.isMember(lk.peer.Name, lk.host) {
			return lk.host
		}
		return ""
	}, l.tooHeavy)
	l.opened.init(openedMemory, func(lk *link) *holding { return &lk.asked }, func(lk *link) string { return lk.host }, l.tooHeavy)
	l.metrics = newMetrics(cfg.Metrics, l.countOpened, l.countAccepted)
	l.transport = &Transport{
		NodeAwareTransport: cfg.Transport,
		streams:            make(chan net.Conn),
		strangers:          make(chan stranger),
		sniffing:           newGate(sniffLimit, sniffPerHost),
		unproved:           newGate(cfg.maxStrangers, cfg.maxStrangersPerHost),
		timeout:            cfg.handshakeTimeout,
		reject:             l.reject,
		busy:               preamble{lo: minVersion, hi: maxVersion, code: verdictBusy}.encode(),
	}
	l.transport.start()
	return l, nil
}

// Transport is what memberlist takes in place of Config.Transport.
func (l *Links) Transport() *Transport { return l.transport }

// Run accepts and keeps links until ctx ends. Then it closes all of them, waits
// for everything that it has started, and returns nil: within a second but for
// a Deliver, Behind or handler that does not return, or a dial under way, which
// takes up to three seconds. It returns an error only if it was called
// before.
func (l *Links) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.KeysChanged() // before anything can be sent: without its keys an agent trusts nobody
	l.mu.Lock()
	if l.started {
		l.mu.Unlock()
		return errors.New("link: Run was called twice")
	}
	l.started, l.running, l.ctx = true, true, ctx
	l.wg.Go(func() { l.reportBehind(ctx) })
	l.mu.Unlock()

	var look <-chan time.Time
	if l.cfg.Keys != nil {
		tick := time.NewTicker(keysInterval)
		defer tick.Stop()
		look = tick.C
	}
	idle := time.NewTicker(idleInterval)
	defer idle.Stop()
	for ctx.Err() == nil {
		select {
		case <-idle.C:
			l.tendIdle()
		case s := <-l.transport.strangers:
			l.wg.Go(func() { l.serve(ctx, s) })
		case <-look:
			l.KeysChanged()
		case <-ctx.Done():
		}
	}
	l.mu.Lock()
	l.running = false
	l.mu.Unlock()
	l.wg.Wait()
	return nil
}

// KeysChanged looks at the keyring, and closes links whose key is no longer on
// it; what they had not delivered goes over new ones. Run does the same at an
// interval, so calling it only saves that time.
func (l *Links) KeysChanged() {
	keys := []psk{{}}
	if l.cfg.Keys != nil {
		keys = nil
		for _, key := range l.cfg.Keys() {
			if k := newPSK(key); len(keys) < maxKeys && !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
	}
	var gone []*link
	l.mu.Lock()
	l.keys = keys
	for _, lk := range l.openLinksLocked() {
		if !slices.Contains(keys, lk.key) {
			gone = append(gone, lk)
		}
	}
	l.mu.Unlock()
	for _, lk := range gone {
		l.sampled.Log(slog.LevelInfo, "link: closed, its key is no longer on the keyring", time.Second, "peer", lk.peer.Name)
		lk.close()
	}
}

// whileRunning calls f on a goroutine that Run waits for, and reports whether Run goes on.
func (l *Links) whileRunning(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running {
		l.wg.Go(f)
	}
	return l.running
}

// openLinksLocked returns all links that are alive, in both directions.
func (l *Links) openLinksLocked() (all []*link) {
	for _, links := range []map[*link]struct{}{l.dialed, l.accepted} {
		all = slices.AppendSeq(all, maps.Keys(links))
	}
	return slices.DeleteFunc(all, func(lk *link) bool { return !lk.alive() })
}

// reject counts and logs a stream that did not become a link.
func (l *Links) reject(reason string, conn net.Conn, err error) {
	l.metrics.rejected.WithLabelValues(reason).Inc()
	l.sampled.Log(slog.LevelWarn, refusals[reason], time.Second, "from", addrOf(conn), "error", err)
}

func (l *Links) countAccepted() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return float64(len(l.accepted))
}

func (l *Links) countOpened() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for lk := range l.dialed {
		if lk.alive() {
			n++
		}
	}
	return float64(n)
}
