package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// compileAddrs resolves the addresses of the gossip.
func (c *compiler) compileAddrs(conf *Config) {
	bind := c.opts.Bind
	if host, port, err := net.SplitHostPort(bind); err == nil && host == "" {
		bind = net.JoinHostPort("0.0.0.0", port) // a socket for it takes IPv6, too
	}
	var err error
	if conf.BindAddr, err = resolve(bind); err != nil {
		c.bad("bind", "%w", err)
	}
	if c.opts.Advertise != "" {
		if conf.AdvertiseAddr, err = resolve(c.opts.Advertise); err != nil {
			c.bad("advertise", "%w", err)
		} else if conf.AdvertiseAddr.Addr().IsUnspecified() && !c.opts.AsSerf {
			c.bad("advertise", "%s is no address that others can reach: give one of this machine's, or leave it out", c.opts.Advertise)
		}
	}
	if name := c.opts.Interface; name != "" {
		if _, err := net.InterfaceByName(name); err != nil {
			c.bad("iface", "%q: %w", name, err)
		}
	}
}

// checkJoins leaves empty names out, and finds those that nobody can join. Serf tries
// them for ever.
func (c *compiler) checkJoins() {
	if c.opts.AsSerf {
		return
	}
	for _, l := range []struct {
		name  string
		addrs *[]string
	}{{"join", &c.opts.StartJoin}, {"retry-join", &c.opts.RetryJoin}} {
		*l.addrs = slices.DeleteFunc(*l.addrs, func(addr string) bool { return addr == "" })
		for _, addr := range *l.addrs {
			if why := brokenJoin(addr); why != "" {
				c.bad(l.name, "%q %s", addr, why)
			}
		}
	}
}

// brokenJoin says what keeps a name from being joined, whatever the network has.
func brokenJoin(addr string) string {
	host := addr[strings.LastIndex(addr, "/")+1:] // behind the name of a node
	switch _, port, err := net.SplitHostPort(host); {
	case strings.Trim(addr, wrapping) != addr:
		return "stands in quotes or blanks: remove them"
	case strings.ContainsAny(addr, ", \t\n"):
		return "has a comma or a blank: give each name by itself"
	case strings.HasPrefix(addr, "dns+srv://"):
		return ""
	case strings.Contains(addr, "://"):
		return "is a URL: give host or host:port"
	case err == nil && portNumber(port) < 1:
		return fmt.Sprintf("has a port that is none: give one of 1 to 65535, or leave it out for %d", DefaultBindPort)
	}
	return ""
}

// wrapping is what an address may stand in by mistake.
const wrapping = " \t\r\n'\"`"

// portNumber is -1 for what is none.
func portNumber(port string) int {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return -1
	}
	return int(n)
}

// resolve takes "host", "host:port", "[::1]" or "[::1]:port"; the port defaults
// to serf's. A name is resolved, since memberlist binds to addresses.
func resolve(addr string) (netip.AddrPort, error) {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		if ae, ok := errors.AsType[*net.AddrError](err); !ok || ae.Err != "missing port in address" {
			return netip.AddrPort{}, err
		}
		addr = fmt.Sprintf("%s:%d", addr, DefaultBindPort)
	}
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return netip.AddrPort{}, err
	}
	ip, ok := netip.AddrFromSlice(tcp.IP)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("%q has no host", addr)
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(tcp.Port)), nil
}

// checkListen checks an address to listen on: host:port or unix:/path.
func checkListen(addr string) error {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		if path == "" {
			return errors.New("unix: needs a path, such as unix:/run/agentctl.sock")
		}
		return nil
	}
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		if _, err = net.LookupPort("tcp", port); err != nil {
			err = fmt.Errorf("%q has no port from 0 to 65535 at its end", addr)
		}
	}
	return err
}
