package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
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
		}
	}
	if name := c.opts.Interface; name != "" {
		if _, err := net.InterfaceByName(name); err != nil {
			c.bad("iface", "%q: %w", name, err)
		}
	}
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
