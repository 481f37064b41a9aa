package membership

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent/logs"
	"agentctl/agent/peers"
	"agentctl/handler/backoff"
)

const (
	// rejoinPings is how many lost members a round asks whether they are there, and
	// rejoinDials how many addresses of -retry-join it dials.
	rejoinPings = 3
	rejoinDials = 3
	// rejoinLookup bounds the time that the lookups of a round take.
	rejoinLookup = 10 * time.Second
	// An address that answers and is no member's own, such as a load balancer's, is
	// dialed after twice as long each time, and at last every standInMost.
	standInMost = 10 * time.Minute
	// keepEvery is how often the known members are written at most, and keepEach how much
	// longer it takes for each of them: the file is written as a whole, so that this bounds
	// how much is written in a second.
	keepEvery = time.Second
	keepEach  = 10 * time.Millisecond
	// forgottenSilence is for how long it is not said again that members do not list
	// this node.
	forgottenSilence = 10 * time.Minute
)

// RejoinerConfig is what [NewRejoiner] needs.
type RejoinerConfig struct {
	// Joiner's Retry are the names that are looked up, once it is done with them, and
	// its Interval is the longest time between rounds. It joins what is found.
	Joiner *Joiner
	Self   serf.Member
	Port   int    // of names that have none
	Dir    string // where the known members are kept; "" for nowhere
	// ReconnectTimeout is after which serf forgets a failed member.
	ReconnectTimeout time.Duration
	// Ping asks a member by a packet, in which it is named, whether it is there.
	Ping func(name string, addr net.Addr) (time.Duration, error)
	// Replay tells whether a join is to ask for the events from before it.
	Replay func() bool
	// Mend brings back members that are alive and were forced to leave. Its error says
	// who does not take this node back.
	Mend func() error
	// Found is told when lost members were joined. It must not block.
	Found   func()
	Logger  *slog.Logger
	Metrics prometheus.Registerer // nil counts nothing
}

// Rejoiner looks for parts of the cluster that this node has lost, for as long as
// the agent lives: serf gives up on a failed member after its reconnect timeout, and
// on the members of its snapshot after one try at the start.
//
// In each round it looks up the names of -retry-join, and joins their addresses that
// are no members. It brings back members that an operator forced to leave although they
// are alive. And it asks some lost members whether they are there. Where nobody
// is lost, a round costs the lookups and nothing else.
type Rejoiner struct {
	names    []string        // of -retry-join
	tried    <-chan struct{} // closed once the joins of the start are over
	port     int
	self     serf.Member
	interval time.Duration
	changed  chan struct{} // serf's members have changed since it was taken

	mu    sync.Mutex // held by look, for as long as it writes
	known *knownMembers

	members func() []serf.Member
	ping    func(name string, addr net.Addr) (time.Duration, error)
	mend    func() error
	join    func(addrs []string) (int, error)
	srv     srvResolver
	lookup  ipLookup
	found   func()
	logger  *slog.Logger
	metrics *rejoinMetrics

	state    sync.Mutex
	there    map[string]string // lost members that answer and cannot be joined, and why
	ignored  error             // by Mend: who does not take this node back
	standIns map[string]*standIn
	failures uint64 // of names and their addresses since one worked
	sampled  logs.Sampled
}

// NewRejoiner reads the members that the last process knew. If it cannot read them,
// it logs that, begins without any, and leaves the file as it is.
func NewRejoiner(cfg RejoinerConfig) *Rejoiner {
	path := ""
	if cfg.Dir != "" {
		path = filepath.Join(cfg.Dir, knownFile)
	}
	known, err := openKnown(path, cfg.ReconnectTimeout)
	if err != nil {
		cfg.Logger.Error("the members of before cannot be read, and none are kept for the next start: mend the file, or move it away",
			"file", path, "error", err)
	}
	j := cfg.Joiner
	return &Rejoiner{
		names: j.cfg.Retry, tried: j.tried, port: cfg.Port, self: cfg.Self, interval: j.cfg.Interval,
		changed: make(chan struct{}, 1), known: known,
		members: j.cfg.Members, ping: cfg.Ping, mend: cfg.Mend,
		join: func(addrs []string) (int, error) { return j.contact(addrs, cfg.Replay()) },
		srv:  j.srv, lookup: lookupIPs, found: cfg.Found,
		logger: cfg.Logger, metrics: newRejoinMetrics(cfg.Metrics),
		there: map[string]string{}, standIns: map[string]*standIn{}, sampled: logs.Sampled{Logger: cfg.Logger},
	}
}

// standIn is an address of -retry-join that stands for members with other addresses.
type standIn struct {
	next  time.Time
	dials int // that it answered
}

// Run works until ctx ends. The first round comes after a while: the start is serf's,
// and that of the joins that were asked for.
func (r *Rejoiner) Run(ctx context.Context) error {
	var keeper sync.WaitGroup
	keeper.Go(func() { r.keep(ctx) })
	defer keeper.Wait()
	for {
		select {
		case <-time.After(backoff.Between(r.interval/2, r.interval)):
			r.round(ctx)
		case <-ctx.Done():
			r.look()
			return nil
		}
	}
}

// Changed says that serf's list of members has changed. It never waits.
func (r *Rejoiner) Changed() {
	select {
	case r.changed <- struct{}{}:
	default: // it has been said
	}
}

// keep looks soon after each change, beside the rounds, which may wait for members. So
// a process that is killed has kept what changed up to a second before, or up to 11 s in a
// large cluster.
func (r *Rejoiner) keep(ctx context.Context) {
	for {
		select {
		case <-r.changed:
			r.look()
		case <-ctx.Done():
			return
		}
		r.mu.Lock()
		wait := keepEvery + time.Duration(len(r.known.byName))*keepEach
		r.mu.Unlock()
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// look tells which members are lost now, and keeps the known ones for the next start.
func (r *Rejoiner) look() []knownMember {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known.look(r.members(), r.self.Name, time.Now())
	lost := r.known.lost()
	r.metrics.setLost(len(lost))
	if err := r.known.keep(); err != nil {
		r.logger.Warn("which members there are could not be kept for the next start, it is tried again", "error", err)
	}
	return lost
}

// round looks once, and joins what it finds.
func (r *Rejoiner) round(ctx context.Context) {
	err := r.mend()
	r.state.Lock()
	r.ignored = err
	r.state.Unlock()
	if err != nil {
		r.sampled.Log(slog.LevelWarn, "this node is a member, and others do not know of it", forgottenSilence, "error", err)
	}
	lost := r.look()
	r.forgetThere(lost)
	rand.Shuffle(len(lost), func(i, j int) { lost[i], lost[j] = lost[j], lost[i] })
	for _, m := range lost[:min(len(lost), rejoinPings)] {
		if ctx.Err() != nil {
			return
		}
		if r.seek(m) {
			break // it told of all that it knows: the next round sees who is still lost
		}
	}
	select {
	case <-r.tried:
		r.tryNames(ctx)
	default:
	}
}

// seek joins a lost member if it is there, and tells whether it did. It is asked first: by
// now another node may have its address, even one of another cluster.
func (r *Rejoiner) seek(m knownMember) bool {
	addr, err := netip.ParseAddrPort(m.Addr)
	if err != nil {
		return false // of a file that was edited
	}
	if _, err := r.ping(m.Name, net.UDPAddrFromAddrPort(addr)); err != nil {
		r.noteThere(m.Name, "")
		r.metrics.rejoined("unanswered")
		return false
	}
	if _, err := r.join([]string{m.Name + "/" + m.Addr}); err != nil {
		r.noteThere(m.Name, flatten(err).Error())
		r.metrics.rejoined("failed")
		r.logger.Warn("a lost member is there, and could not be joined: it is tried again", "member", m.Name, "addr", m.Addr, "lost", m.Lost, "error", flatten(err))
		return false
	}
	r.noteThere(m.Name, "")
	r.metrics.rejoined("joined")
	r.logger.Info("a lost member is joined again", "member", m.Name, "addr", m.Addr, "lost", m.Lost)
	r.found()
	return true
}

// tryNames joins addresses that the names stand for and that no member has.
func (r *Rejoiner) tryNames(ctx context.Context) {
	if len(r.names) == 0 {
		return
	}
	addrs, err := r.resolve(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		r.metrics.rejoined("lookup_failed")
		r.failed("a name of -retry-join cannot be looked up", "error", flatten(err))
	}
	for addr := range r.standIns {
		if !slices.Contains(addrs, addr) {
			delete(r.standIns, addr)
		}
	}
	addrs = slices.DeleteFunc(addrs, func(addr string) bool {
		s := r.standIns[addr]
		return s != nil && time.Now().Before(s.next)
	})
	rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
	for dials := 0; dials < rejoinDials && ctx.Err() == nil; dials++ {
		before := r.alive() // once for each dial: a name can stand for all members
		addrs = slices.DeleteFunc(addrs, func(addr string) bool { return before[addr] })
		if len(addrs) == 0 {
			return
		}
		r.dial(addrs[0], before)
		addrs = addrs[1:]
	}
}

// dial joins an address that the names stand for.
func (r *Rejoiner) dial(addr string, before map[string]bool) {
	if _, err := r.join([]string{addr}); err != nil {
		r.metrics.rejoined("failed")
		r.failed("an address of -retry-join, which is no member, cannot be joined", "addr", addr, "error", flatten(err))
		return
	}
	r.failures = 0
	r.sampled.Restart("failed")
	r.metrics.rejoined("joined")
	after := r.alive()
	if !after[addr] {
		s := r.standIns[addr]
		if s == nil {
			s = &standIn{}
			r.standIns[addr] = s
		}
		s.dials++
		s.next = time.Now().Add(backoff.Backoff{Min: 2 * r.interval, Max: standInMost}.Ceiling(s.dials))
	}
	for addr := range before {
		delete(after, addr)
	}
	if len(after) > 0 {
		r.logger.Info("members of which this node knew nothing are joined", "addr", addr, "members", len(after))
		r.found()
	}
}

// failed logs what fails with each round, ever more seldom.
func (r *Rejoiner) failed(msg string, args ...any) {
	if r.failures++; r.sampled.Nth("failed", r.failures, 0) {
		r.logger.Warn(msg+", it is tried again as long as the agent runs", append(args, "failures", r.failures)...)
	}
}

// alive are the addresses of the members that are alive, and of this node.
func (r *Rejoiner) alive() map[string]bool {
	addrs := map[string]bool{peers.Addr(r.self): true}
	for _, m := range r.members() {
		if m.Status == serf.StatusAlive {
			addrs[peers.Addr(m)] = true
		}
	}
	return addrs
}

// resolve looks the names up, anew each time. The error tells which of them could not
// be looked up; the addresses of the others are returned beside it.
func (r *Rejoiner) resolve(ctx context.Context) (addrs []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, rejoinLookup)
	defer cancel()
	names, err := resolve(ctx, r.srv, r.names)
	errs := []error{err}
	for _, name := range names {
		_, addr, named := strings.Cut(name, "/") // memberlist takes NODE/ADDR too
		if !named {
			addr = name
		}
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			host, port = strings.Trim(addr, "[]"), strconv.Itoa(r.port)
		}
		ips, err := r.lookup(ctx, host)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		for _, ip := range ips {
			addrs = append(addrs, net.JoinHostPort(ip.Unmap().String(), port))
		}
	}
	slices.Sort(addrs)
	return slices.Compact(addrs), errors.Join(errs...)
}

func lookupIPs(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}
