package membership

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/hashicorp/mdns"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/peers"
)

const (
	// mdnsPoll is between looks, as in serf. In a cluster of more than mdnsSmall members it
	// is longer in proportion, since all of them answer each look.
	mdnsPoll  = time.Minute
	mdnsSmall = 64
	mdnsQuiet = 100 * time.Millisecond // answers that come together are joined together
	// mdnsNew is how many new addresses one look joins at most, and mdnsSeen how
	// many are remembered. Anyone on the local network can answer with any address.
	mdnsNew  = 64
	mdnsSeen = 1024
)

// DiscoveryConfig is what [NewDiscovery] needs.
type DiscoveryConfig struct {
	Cluster   string // the name that the nodes of a cluster announce themselves under
	Node      string // this node's name
	IP        net.IP // where this node takes gossip, as Port
	Port      int
	Interface string // of the network to look in; "" for the system's choice
	// DisableIPv4 and DisableIPv6 leave out a protocol when looking.
	DisableIPv4, DisableIPv6 bool
	Members                  func() []serf.Member // all of serf's
	// Join joins the addresses of others. It may take serf's dial timeout for each.
	Join   func(addrs []string) (int, error)
	Logger *slog.Logger
	MDNS   *log.Logger // of the mDNS library
}

// Discovery announces this node by mDNS and joins the others of its cluster that it
// finds. Stock serf agents see it and are seen.
type Discovery struct {
	join    func(addrs []string) (int, error)
	members func() []serf.Member
	query   mdns.QueryParam
	server  *mdns.Server
	logger  *slog.Logger
	self    string          // this node's address
	seen    map[string]bool // addresses of others, which are not joined again
}

// NewDiscovery starts to announce this node: the server of the mDNS library runs from
// then on. [Discovery.Run] looks for others. Both [Discovery.Close] and the end of
// Run stop the server.
func NewDiscovery(cfg DiscoveryConfig) (*Discovery, error) {
	var iface *net.Interface
	if cfg.Interface != "" {
		var err error
		if iface, err = net.InterfaceByName(cfg.Interface); err != nil {
			return nil, fmt.Errorf("mdns: interface %q: %w", cfg.Interface, err)
		}
		cfg.Logger.Debug("mdns: listening on an interface", "interface", cfg.Interface)
	}
	service := fmt.Sprintf("_serf_%s._tcp", cfg.Cluster)
	zone, err := mdns.NewMDNSService(cfg.Node, service, "", "", cfg.Port, []net.IP{cfg.IP},
		[]string{fmt.Sprintf("Serf '%s' cluster", cfg.Cluster)})
	if err != nil {
		return nil, fmt.Errorf("mdns: %w", err)
	}
	server, err := mdns.NewServer(&mdns.Config{Zone: zone, Iface: iface, Logger: cfg.MDNS})
	if err != nil {
		return nil, fmt.Errorf("mdns: %w", err)
	}
	return &Discovery{
		join:    cfg.Join,
		members: cfg.Members,
		server:  server,
		logger:  cfg.Logger,
		self:    net.JoinHostPort(cfg.IP.String(), fmt.Sprint(cfg.Port)),
		seen:    map[string]bool{},
		query: mdns.QueryParam{
			Service:     service,
			Interface:   iface,
			DisableIPv4: cfg.DisableIPv4,
			DisableIPv6: cfg.DisableIPv6,
			Logger:      cfg.MDNS,
		},
	}, nil
}

// Close ends the announcement.
func (d *Discovery) Close() {
	d.server.Shutdown() // closing twice is its only error
}

// poll is how long after a look the next one comes.
func (d *Discovery) poll() time.Duration {
	return mdnsPoll * time.Duration(max(len(d.members()), mdnsSmall)) / mdnsSmall
}

// Run looks for others now and every minute, or less often if there are many members,
// until ctx ends.
func (d *Discovery) Run(ctx context.Context) error {
	defer d.Close() // the process is ending
	found := make(chan *mdns.ServiceEntry, 32)
	for {
		looked := make(chan struct{})
		go func() {
			defer close(looked)
			q := d.query
			q.Entries = found
			if err := mdns.QueryContext(ctx, &q); err != nil && ctx.Err() == nil {
				d.logger.Error("mdns: looking for peers failed", "error", err)
			}
		}()
		d.gather(found, looked)
		select {
		case <-time.After(d.poll()):
		case <-ctx.Done():
			return nil
		}
	}
}

// gather joins the new addresses among the answers until the look has ended. If there
// are too many of them, the next look finds the rest again.
func (d *Discovery) gather(found <-chan *mdns.ServiceEntry, looked <-chan struct{}) {
	var batch []string
	var quiet <-chan time.Time
	room := mdnsNew
	add := func(e *mdns.ServiceEntry) {
		addr := net.JoinHostPort(e.Addr.String(), fmt.Sprint(e.Port))
		if addr == d.self || d.seen[addr] || room == 0 {
			return
		}
		room--
		d.remember(addr)
		batch = append(batch, addr)
		quiet = time.After(mdnsQuiet)
	}
	for {
		select {
		case e := <-found:
			add(e)
		case <-quiet:
			d.joinBatch(batch)
			batch = nil
		case <-looked:
			for len(found) > 0 {
				add(<-found)
			}
			d.joinBatch(batch)
			return
		}
	}
}

// remember notes that an address was found. Beyond the limit it forgets another
// one, which is joined again if it is found again. That does no harm.
func (d *Discovery) remember(addr string) {
	for old := range d.seen {
		if len(d.seen) < mdnsSeen {
			break
		}
		delete(d.seen, old)
	}
	d.seen[addr] = true
}

// joinBatch joins addresses that no member alive has: the first few of them, and then those
// of the rest that these did not tell of. Those that cannot be joined are tried again once
// they are found again.
func (d *Discovery) joinBatch(batch []string) {
	for {
		alive := map[string]bool{}
		for _, m := range d.members() {
			if m.Status == serf.StatusAlive {
				alive[peers.Addr(m)] = true
			}
		}
		batch = slices.DeleteFunc(batch, func(addr string) bool { return alive[addr] })
		if len(batch) == 0 {
			return
		}
		few := batch[:min(len(batch), joinMost)]
		batch = batch[len(few):]
		n, err := d.join(few)
		if n > 0 {
			d.logger.Info("mdns: joined peers", "contacted", n, "peers", few)
			continue
		}
		d.logger.Warn("mdns: peers could not be joined", "peers", few, "error", err)
		for _, addr := range few {
			delete(d.seen, addr)
		}
	}
}
