package config

import (
	"log/slog"
	"net"
	"slices"
	"time"

	"agentctl/agent/large"
	"agentctl/agent/logs"
)

// compile makes the value that runs of the settings, and records every problem
// with them. Where there is one, nobody is to use the value.
func (c *compiler) compile() *Config {
	conf := &Config{locations: c.locations}
	c.compileAddrs(conf)
	c.checkJoins()
	c.checkGossip()
	conf.Keys, conf.KeysFile = c.compileKeys()
	conf.NodeTags = c.compileTags()
	c.checkTags(conf.NodeTags)
	c.checkServers()
	conf.Level = c.compileLog()
	c.checkMDNS()
	c.checkLimits()
	conf.Handlers = c.compileHandlers()
	c.warnOfModes()
	conf.Options, conf.Warnings = c.opts, c.warnings
	return conf
}

func (c *compiler) checkGossip() {
	o := &c.opts
	if o.Protocol < minProtocol || o.Protocol > maxProtocol {
		c.bad("protocol", "%d is not between %d and %d", o.Protocol, minProtocol, maxProtocol)
	}
	if !slices.Contains([]string{"lan", "wan", "local"}, o.Profile) {
		c.bad("profile", "unknown profile %q: want lan, wan or local", o.Profile)
	}
}

// maxTags is how many bytes of encoded tags serf takes.
const maxTags = 512

// checkTags finds tags with which no agent starts. It counts the least that they can be
// encoded in: a byte before each text, and two before all.
func (c *compiler) checkTags(tags map[string]string) {
	size := 2
	for key, value := range tags {
		size += len(key) + len(value) + 2
	}
	if size > maxTags && !c.opts.AsSerf { // serf has its own words when it starts
		c.bad("tag", "the tags have %d bytes together, and serf takes %d: make them shorter", size, maxTags)
	}
}

// checkServers checks what RPC and the operations endpoint need. The token's file
// is read again for each request, so that it can be replaced at any time.
func (c *compiler) checkServers() {
	o := &c.opts
	if err := checkListen(o.RPCAddr); err != nil {
		c.bad("rpc-addr", "%w", err)
	}
	if o.HTTPAddr != Off {
		if err := checkListen(o.HTTPAddr); err != nil {
			c.bad("http-addr", "%w (or %q for none)", err, Off)
		}
	}
	if _, port, err := net.SplitHostPort(o.HTTPAddr); err == nil && o.RPCAddr == o.HTTPAddr && port != "0" {
		c.bad("http-addr", "%s is the address of %s, too: give another one", o.HTTPAddr, c.locations.called("rpc-addr"))
	}
	if o.HTTPTokenFile != "" {
		if _, err := c.files.secret(o.HTTPTokenFile); err != nil {
			c.bad("http-token-file", "%w", err)
		}
	}
}

func (c *compiler) compileLog() slog.Level {
	level, err := logs.ParseLevel(c.opts.LogLevel)
	if err != nil {
		c.bad("log-level", "%w", err)
	}
	if f := c.opts.LogFormat; f != "text" && f != "json" {
		c.bad("log-format", "unknown format %q: want text or json", f)
	}
	return level
}

func (c *compiler) checkMDNS() {
	m := &c.opts.MDNS
	if m.Interface == "" {
		return
	}
	if c.opts.Discover == "" {
		c.bad("mdns-iface", "has no effect without %s", c.locations.called("discover"))
	}
	if _, err := net.InterfaceByName(m.Interface); err != nil {
		c.bad("mdns-iface", "%q: %w", m.Interface, err)
	}
	if m.DisableIPv4 && m.DisableIPv6 {
		c.bad("mdns-disable-ipv4", "and %s leave no way to look for peers", c.locations.called("mdns-disable-ipv6"))
	}
}

func (c *compiler) checkLimits() {
	o := &c.opts
	for _, l := range []struct {
		name string
		v    int
		most int
	}{
		{"user_event_size_limit", o.UserEventSizeLimit, maxUserEvent},
		{"query_size_limit", o.QuerySizeLimit, 1 << 16},
		{"query_response_size_limit", o.QueryResponseSizeLimit, 1 << 16},
	} {
		if l.v < 1 || l.v > l.most {
			c.bad(l.name, "%d is not between 1 and %d bytes", l.v, l.most)
		}
	}
	if o.MaxEventSize < 0 || o.MaxEventSize > large.MaxEvent {
		c.bad("max-event-size", "%d is not between 0 and %d bytes", o.MaxEventSize, large.MaxEvent)
	}
	for _, l := range []struct {
		name string
		v    int
	}{{"journal-max-events", o.JournalMaxEvents}, {"queue-max-events", o.QueueMaxEvents}} {
		if l.v < 1 {
			c.bad(l.name, "%d is not a number of events: give 1 or more", l.v)
		}
	}
	for _, d := range []struct {
		name string
		v    time.Duration
	}{
		{"drain-timeout", o.DrainTimeout},
		{"reconnect_interval", o.ReconnectInterval},
		{"reconnect_timeout", o.ReconnectTimeout},
		{"tombstone_timeout", o.TombstoneTimeout},
	} {
		if d.v < 0 {
			c.bad(d.name, "%v is negative", d.v)
		}
	}
	if o.JournalMaxAge < time.Second {
		c.bad("journal-max-age", "%v is less than a second", o.JournalMaxAge)
	}
}
