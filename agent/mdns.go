package agent

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net"
	"time"

	"github.com/hashicorp/mdns"

	"agentctl/agent/config"
)

const (
	mdnsPoll  = time.Minute            // between looks for peers, as in serf
	mdnsQuiet = 100 * time.Millisecond // answers that come together are joined together
	// mdnsNew is how many new addresses one look joins at most, and mdnsSeen how
	// many are remembered. Anyone on the local network can answer with any address.
	mdnsNew  = 64
	mdnsSeen = 1024
)

// discovery announces this node under a cluster name by mDNS and joins the
// others that it finds there. Stock serf agents see it and are seen.
type discovery struct {
	join   joiner
	replay bool
	query  mdns.QueryParam
	server *mdns.Server
	logger *slog.Logger
	self   string          // this node's address
	seen   map[string]bool // others that are not joined again
}

// newDiscovery starts to announce; Run looks for others, and stops both.
func newDiscovery(o *config.Options, join joiner, ip net.IP, port int, logger *slog.Logger, std *log.Logger) (*discovery, error) {
	var iface *net.Interface
	for _, name := range []string{o.MDNS.Interface, o.Interface} {
		if name != "" && iface == nil {
			var err error
			if iface, err = net.InterfaceByName(name); err != nil {
				return nil, fmt.Errorf("mdns: interface %q: %w", name, err)
			}
		}
	}
	service := fmt.Sprintf("_serf_%s._tcp", o.Discover)
	zone, err := mdns.NewMDNSService(o.NodeName, service, "", "", port, []net.IP{ip},
		[]string{fmt.Sprintf("Serf '%s' cluster", o.Discover)})
	if err != nil {
		return nil, fmt.Errorf("mdns: %w", err)
	}
	server, err := mdns.NewServer(&mdns.Config{Zone: zone, Iface: iface, Logger: std})
	if err != nil {
		return nil, fmt.Errorf("mdns: %w", err)
	}
	return &discovery{
		join:   join,
		replay: o.ReplayOnJoin,
		server: server,
		logger: logger,
		self:   net.JoinHostPort(ip.String(), fmt.Sprint(port)),
		seen:   map[string]bool{},
		query: mdns.QueryParam{
			Service:     service,
			Interface:   iface,
			DisableIPv4: o.MDNS.DisableIPv4,
			DisableIPv6: o.MDNS.DisableIPv6,
			Logger:      std,
		},
	}, nil
}

// Run looks for peers now and every minute, until ctx ends.
func (d *discovery) Run(ctx context.Context) error {
	defer d.server.Shutdown() // the process is ending
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

// gather joins the new peers among the answers until the look has ended. If there
// are too many of them, the next look finds the rest again.
func (d *discovery) gather(found <-chan *mdns.ServiceEntry, looked <-chan struct{}) {
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
func (d *discovery) remember(addr string) {
	for old := range d.seen {
		if len(d.seen) < mdnsSeen {
			break
		}
		delete(d.seen, old)
	}
	d.seen[addr] = true
}

// joinBatch joins what was found; what cannot be joined is found again.
func (d *discovery) joinBatch(batch []string) {
	if len(batch) == 0 {
		return
	}
	n, err := d.join.Join(batch, d.replay)
	if n > 0 {
		d.logger.Info("mdns: joined peers", "contacted", n, "peers", batch)
		return
	}
	d.logger.Warn("mdns: peers could not be joined", "peers", batch, "error", err)
	for _, addr := range batch {
		delete(d.seen, addr)
	}
}
