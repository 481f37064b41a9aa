package agent

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
	"sync/atomic"
	"time"

	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent/logs"
	"agentctl/agent/peers"
	"agentctl/handler/backoff"
)

const (
	// rejoinPings is how many lost members are asked in a round whether they are
	// there, and rejoinDials how many addresses of -retry-join are dialed.
	rejoinPings = 3
	rejoinDials = 3
	// rejoinLookup bounds the time that names are looked up in.
	rejoinLookup = 10 * time.Second
	// An address that answers and is nobody's own, such as a load balancer's, is
	// dialed after twice as long each time, and at last every standInMost.
	standInMost = 10 * time.Minute
)

// rejoiner looks for parts of the cluster that this node has lost, for as long
// as the agent lives: serf gives up on a failed member after its reconnect
// timeout, and on those of its snapshot after one try at the start. At an
// interval it looks up the names of -retry-join, and joins what they stand for
// and is not a member; and it asks some lost members, by a packet in which they
// are named, whether they are there. Where nobody is lost that costs the lookups
// and nothing else.
type rejoiner struct {
	names    []string        // of -retry-join
	tried    <-chan struct{} // closed once a join of the names has succeeded
	port     int             // of names that have none
	self     serf.Member
	interval time.Duration
	roster   *roster

	members func() []serf.Member
	ping    func(name string, addr net.Addr) (time.Duration, error)
	join    func(addrs []string) (int, error)
	srv     srvResolver
	lookup  func(ctx context.Context, host string) ([]netip.Addr, error)
	found   func() // told when a part was joined
	logger  *slog.Logger
	metrics *rejoinMetrics

	standIns map[string]*standIn
	failures uint64       // of names and their addresses since one worked
	sampled  logs.Sampled // for its Nth
	lost     atomic.Int64
}

// standIn is an address of others than itself.
type standIn struct {
	next  time.Time
	dials int // that it answered
}

// Run works until ctx ends. It leaves the start to serf and to the joins that
// were asked for.
func (r *rejoiner) Run(ctx context.Context) error {
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

// look tells who is lost now, and keeps it for the next start.
func (r *rejoiner) look() []seat {
	r.roster.look(r.members(), r.self.Name, time.Now())
	lost := r.roster.lost()
	r.lost.Store(int64(len(lost)))
	if err := r.roster.keep(); err != nil {
		r.logger.Warn("which members there are could not be kept for the next start, it is tried again", "error", err)
	}
	return lost
}

// round looks once, and joins what it finds.
func (r *rejoiner) round(ctx context.Context) {
	lost := r.look()
	rand.Shuffle(len(lost), func(i, j int) { lost[i], lost[j] = lost[j], lost[i] })
	for _, s := range lost[:min(len(lost), rejoinPings)] {
		if ctx.Err() != nil {
			return
		}
		r.seek(s)
	}
	select {
	case <-r.tried:
		r.tryNames(ctx)
	default:
	}
}

// seek joins a lost member if it is there. It is asked first: by now another
// may have its address, even one of another cluster.
func (r *rejoiner) seek(s seat) {
	addr, err := netip.ParseAddrPort(s.Addr)
	if err != nil {
		return // of a file that was edited
	}
	if _, err := r.ping(s.Name, net.UDPAddrFromAddrPort(addr)); err != nil {
		r.metrics.rejoined("unanswered")
		return
	}
	if _, err := r.join([]string{s.Name + "/" + s.Addr}); err != nil {
		r.metrics.rejoined("failed")
		r.logger.Warn("a lost member is there, and could not be joined: it is tried again", "member", s.Name, "addr", s.Addr, "lost", s.Lost, "error", flatError{err})
		return
	}
	r.metrics.rejoined("joined")
	r.logger.Info("a lost member is joined again", "member", s.Name, "addr", s.Addr, "lost", s.Lost)
	r.found()
}

// tryNames joins addresses that the names stand for and that no member has.
func (r *rejoiner) tryNames(ctx context.Context) {
	if len(r.names) == 0 {
		return
	}
	addrs, err := r.resolve(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		r.metrics.rejoined("lookup_failed")
		r.failed("a name of -retry-join cannot be looked up", "error", flatError{err})
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
	for dials := 0; len(addrs) > 0 && dials < rejoinDials && ctx.Err() == nil; addrs = addrs[1:] {
		before := r.alive()
		if before[addrs[0]] {
			continue // it is here, maybe by the dial before
		}
		dials++
		r.dial(addrs[0], before)
	}
}

// dial joins an address that the names stand for.
func (r *rejoiner) dial(addr string, before map[string]bool) {
	if _, err := r.join([]string{addr}); err != nil {
		r.metrics.rejoined("failed")
		r.failed("an address of -retry-join, which is no member, cannot be joined", "addr", addr, "error", flatError{err})
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
func (r *rejoiner) failed(msg string, args ...any) {
	if r.failures++; r.sampled.Nth("failed", r.failures, 0) {
		r.logger.Warn(msg+", it is tried again as long as the agent runs", append(args, "failures", r.failures)...)
	}
}

// alive are the addresses of members that are alive, this one's too.
func (r *rejoiner) alive() map[string]bool {
	addrs := map[string]bool{peers.Addr(r.self): true}
	for _, m := range r.members() {
		if m.Status == serf.StatusAlive {
			addrs[peers.Addr(m)] = true
		}
	}
	return addrs
}

// resolve looks the names up, anew each time. What could not be looked up is in
// the error, beside the rest.
func (r *rejoiner) resolve(ctx context.Context) (addrs []string, err error) {
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

// openRejoin makes what looks for lost members. conf is what serf runs with.
func (a *Agent) openRejoin(conf *serf.Config) {
	var path string
	if a.opts.DataDir != "" {
		path = filepath.Join(a.opts.DataDir, rosterFile)
	}
	known, err := openRoster(path, conf.ReconnectTimeout)
	if err != nil {
		a.logger.Error("which members there were before cannot be read: they are found again by serf's snapshot and by -retry-join only, and nothing is kept for the next start; mend the file, or move it away",
			"file", path, "error", err)
	}
	r := &rejoiner{
		names: a.opts.RetryJoin, tried: a.tried, port: conf.MemberlistConfig.BindPort, self: a.serf.LocalMember(),
		interval: a.opts.RetryInterval, roster: known,
		members:  a.serf.Members,
		ping:     a.serf.Memberlist().Ping,
		join:     func(addrs []string) (int, error) { return a.Join(addrs, true) }, // what was missed is wanted
		srv:      net.DefaultResolver,
		lookup:   lookupIPs,
		found:    func() {},
		logger:   a.logger,
		metrics:  newRejoinMetrics(a.registry),
		standIns: map[string]*standIn{},
	}
	if a.repair != nil {
		r.found = func() { a.repair.Kick("lost members were joined") }
	}
	a.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "agentctl_members_lost",
		Help: "Members that this node has seen alive, and that neither are so now nor have left; by serf's view and, of what serf has forgotten, its own.",
	}, func() float64 { return float64(r.lost.Load()) }))
	a.rejoin = r
}

func lookupIPs(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}
