package membership

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net"
	"time"

	"github.com/hashicorp/mdns"
)

const (
	mdnsPoll  = time.Minute            // between looks, as in serf
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
	// Join joins the addresses of others. It may take serf's dial timeout for each.
	Join   func(addrs []string) (int, error)
	Logger *slog.Logger
	MDNS   *log.Logger // of the mDNS library
}

// Discovery announces this node by mDNS and joins the others of its cluster that it
// finds. Stock serf agents see it and are seen.
type Discovery struct {
	join   func(addrs []string) (int, error)
	query  mdns.QueryParam
	server *mdns.Server
	logger *slog.Logger
	self   string          // this node's address
	seen   map[string]bool // addresses of others, which are not joined again
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
		join:   cfg.Join,
		server: server,
		logger: cfg.Logger,
		self:   net.JoinHostPort(cfg.IP.String(), fmt.Sprint(cfg.Port)),
		seen:   map[string]bool{},
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

// Run looks for others now and every minute, until ctx ends.
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
		case <-time.After(mdnsPoll):
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

// joinBatch joins addresses. Those that cannot be joined are tried again once they are
// found again.
func (d *Discovery) joinBatch(batch []string) {
	if len(batch) == 0 {
		return
	}
	n, err := d.join(batch)
	if n > 0 {
		d.logger.Info("mdns: joined peers", "contacted", n, "peers", batch)
		return
	}
	d.logger.Warn("mdns: peers could not be joined", "peers", batch, "error", err)
	for _, addr := range batch {
		delete(d.seen, addr)
	}
}
