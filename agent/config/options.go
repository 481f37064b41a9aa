package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/large"
	"agentctl/agent/logs"
)

const (
	// DefaultBindPort is serf's gossip port.
	DefaultBindPort = 7946
	// DefaultRPCAddr is where serf's clients look for an agent.
	DefaultRPCAddr = "127.0.0.1:7373"
	// DefaultHTTPAddr is where the operations endpoint listens.
	DefaultHTTPAddr = "127.0.0.1:7374"
	// DefaultGateway is Kong's local endpoint for events.
	DefaultGateway = "http://127.0.0.1:8001/cluster/events/"
	// GatewayEvents is the filter of what a gateway is told, that of Kong's own start command.
	GatewayEvents = "member-join,member-leave,member-failed,member-update,member-reap,user:kong"
	// Off as an address means that nothing listens.
	Off = "off"

	// minInterval is the least -retry-interval and -broadcast-timeout, as in serf.
	minInterval = time.Second
)

// MDNSOptions say how -discover looks for peers.
type MDNSOptions struct {
	Interface   string
	DisableIPv4 bool
	DisableIPv6 bool
}

// Options configure an [Agent]. The zero value is not usable: begin with
// [DefaultOptions]. The fields down to UserEventSizeLimit mean what the same
// settings of serf mean; see [Settings] for each one's names and text.
type Options struct {
	NodeName string // default: the host's name
	Role     string // deprecated by serf: sets the tag "role"
	Tags     map[string]string
	TagsFile string

	Bind      string // host, host:port or [::1]:port; port 0 takes a free one
	Interface string
	Advertise string
	Protocol  int
	Profile   string // lan, wan or local

	EncryptKey  string // base64 of 16, 24 or 32 bytes
	KeyringFile string

	RPCAddr    string // host:port or unix:/path
	RPCAuthKey string

	StartJoin        []string
	RetryJoin        []string
	RetryInterval    time.Duration
	RetryMaxAttempts int // 0: no end
	ReplayOnJoin     bool
	RejoinAfterLeave bool
	SnapshotPath     string
	Discover         string
	MDNS             MDNSOptions

	LeaveOnTerm    bool
	SkipLeaveOnInt bool

	BroadcastTimeout      time.Duration
	ReconnectInterval     time.Duration // 0: serf's default, as the two that follow
	ReconnectTimeout      time.Duration
	TombstoneTimeout      time.Duration
	DisableNameResolution bool
	DisableCoordinates    bool
	ValidateNodeNames     bool
	EnableCompression     bool
	NewTimeFormat         bool

	LogLevel       string
	EnableSyslog   bool
	SyslogFacility string
	StatsiteAddr   string
	StatsdAddr     string

	QueryResponseSizeLimit int // bytes
	QuerySizeLimit         int // bytes
	UserEventSizeLimit     int // bytes of name and payload together, at most 9,216

	// What agentctl adds.

	Sources Sources // where settings were given, for messages; may be nil

	AsSerf         bool     // there is no gateway unless one is given
	EventHandlers  []string // FILTER=SCRIPT as in serf, or FILTER=URL
	NativeHandlers bool     // post in place of a script that Kong wrote
	Targets        []TargetOptions
	Gateway        string // a URL that gets [GatewayEvents]
	HTTPAddr       string // host:port, or "off"
	HTTPTokenFile  string // of the token that requests have to bear that change something; "": none
	LogFormat      string // text or json
	PeerLinks      bool   // send events to agents of ours over links
	DirectSend     bool   // and straight to other members
	MaxEventSize   int    // bytes of name and payload together of what agents of ours get, at most 1 MiB
	DrainTimeout   time.Duration

	// DataDir holds the journal, serf's snapshot and the keyring; "" keeps the
	// journal in memory.
	DataDir          string
	JournalMaxEvents int           // of the history
	JournalMaxAge    time.Duration // likewise
	QueueMaxEvents   int           // that may wait for one target
}

// DefaultOptions are serf's defaults and our own. With neither event handlers
// nor a gateway given, [DefaultGateway] is the gateway.
func DefaultOptions() Options {
	return Options{
		Tags:                   map[string]string{},
		Bind:                   "0.0.0.0",
		Protocol:               serf.ProtocolVersionMax,
		Profile:                "lan",
		RPCAddr:                DefaultRPCAddr,
		RetryInterval:          30 * time.Second,
		LeaveOnTerm:            true,
		BroadcastTimeout:       5 * time.Second,
		LogLevel:               "info",
		SyslogFacility:         "LOCAL0",
		QueryResponseSizeLimit: 1024,
		QuerySizeLimit:         1024,
		UserEventSizeLimit:     512,
		NativeHandlers:         true,
		HTTPAddr:               DefaultHTTPAddr,
		LogFormat:              "text",
		PeerLinks:              true,
		DirectSend:             true,
		MaxEventSize:           64 << 10,
		DrainTimeout:           10 * time.Second,
		JournalMaxEvents:       100_000,
		JournalMaxAge:          24 * time.Hour,
		QueueMaxEvents:         100_000,
	}
}

// SerfOptions are the defaults of an agent that stands in for serf: no gateway
// and no operations endpoint, SIGTERM does not leave the cluster, and an event
// over serf's limit is refused.
func SerfOptions() Options {
	o := DefaultOptions()
	o.AsSerf = true
	o.MaxEventSize = 0
	o.HTTPAddr = Off
	o.LeaveOnTerm = false
	o.EnableCompression = true
	return o
}

// Normalize fills in what depends on the machine or on other fields and
// returns a line for each setting that it had to mend.
func (o *Options) Normalize() (warnings []string, err error) {
	if o.NodeName == "" {
		if o.NodeName, err = os.Hostname(); err != nil {
			return nil, fmt.Errorf("node: the host's name cannot be read, give -node: %w", err)
		}
	}
	if o.Role != "" {
		warnings = append(warnings, "role is deprecated, use -tag role="+o.Role)
		if o.Tags == nil {
			o.Tags = map[string]string{}
		}
		o.Tags["role"] = o.Role
	}
	if o.DataDir != "" && o.SnapshotPath == "" {
		o.SnapshotPath = filepath.Join(o.DataDir, SnapshotFile)
	}
	for _, d := range []struct {
		name string
		v    *time.Duration
	}{{"retry-interval", &o.RetryInterval}, {"broadcast-timeout", &o.BroadcastTimeout}} {
		if *d.v < minInterval {
			warnings = append(warnings, fmt.Sprintf("%s of %v is too low, using %v", d.name, *d.v, minInterval))
			*d.v = minInterval
		}
	}
	if o.RejoinAfterLeave && o.SnapshotPath == "" {
		warnings = append(warnings, "rejoin has no effect without -snapshot or -data-dir")
	}
	return warnings, nil
}

// Validate names everything that is wrong with the options, joined, one line
// for each.
func (o *Options) Validate() error {
	var errs []error
	bad := func(name, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %w", o.Label(name), fmt.Errorf(format, args...)))
	}
	if o.NodeName == "" {
		bad("node", "is empty")
	}
	if _, _, err := SplitAddr(o.Bind); err != nil {
		bad("bind", "%w", err)
	}
	if o.Advertise != "" {
		if _, _, err := SplitAddr(o.Advertise); err != nil {
			bad("advertise", "%w", err)
		}
	}
	if o.Interface != "" {
		if _, err := net.InterfaceByName(o.Interface); err != nil {
			bad("iface", "%q: %w", o.Interface, err)
		}
	}
	if o.Protocol < int(serf.ProtocolVersionMin) || o.Protocol > serf.ProtocolVersionMax {
		bad("protocol", "%d is not between %d and %d", o.Protocol, serf.ProtocolVersionMin, serf.ProtocolVersionMax)
	}
	if !slices.Contains([]string{"lan", "wan", "local"}, o.Profile) {
		bad("profile", "unknown profile %q: want lan, wan or local", o.Profile)
	}
	if err := checkKey(o.EncryptKey); err != nil {
		bad("encrypt", "%w", err)
	}
	if o.EncryptKey != "" && o.KeyringFile != "" {
		bad("encrypt", "cannot be given together with keyring-file, which holds the keys itself")
	}
	if o.TagsFile != "" && len(o.Tags) > 0 {
		bad("tags-file", "cannot be given together with tags")
	}
	if err := checkListen(o.RPCAddr); err != nil {
		bad("rpc-addr", "%w", err)
	}
	if o.HTTPAddr != Off {
		if err := checkListen(o.HTTPAddr); err != nil {
			bad("http-addr", "%w (or %q for none)", err, Off)
		}
	}
	if o.HTTPTokenFile != "" {
		if _, err := ReadSecret(o.HTTPTokenFile); err != nil {
			bad("http-token-file", "%w", err)
		}
	}
	if _, err := logs.ParseLevel(o.LogLevel); err != nil {
		bad("log-level", "%w", err)
	}
	if o.LogFormat != "text" && o.LogFormat != "json" {
		bad("log-format", "unknown format %q: want text or json", o.LogFormat)
	}
	o.validateMDNS(bad)
	for _, l := range []struct {
		name string
		v    int
		most int
	}{
		{"user_event_size_limit", o.UserEventSizeLimit, serf.UserEventSizeLimit},
		{"query_size_limit", o.QuerySizeLimit, 1 << 16},
		{"query_response_size_limit", o.QueryResponseSizeLimit, 1 << 16},
	} {
		if l.v < 1 || l.v > l.most {
			bad(l.name, "%d is not between 1 and %d bytes", l.v, l.most)
		}
	}
	if o.MaxEventSize < 0 || o.MaxEventSize > large.MaxEvent {
		bad("max-event-size", "%d is not between 0 and %d bytes", o.MaxEventSize, large.MaxEvent)
	}
	for _, l := range []struct {
		name string
		v    int
	}{{"journal-max-events", o.JournalMaxEvents}, {"queue-max-events", o.QueueMaxEvents}} {
		if l.v < 1 {
			bad(l.name, "%d is not a number of events: give 1 or more", l.v)
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
			bad(d.name, "%v is negative", d.v)
		}
	}
	if o.RetryMaxAttempts < 0 {
		bad("retry-max", "%d is negative", o.RetryMaxAttempts)
	}
	if o.JournalMaxAge < time.Second {
		bad("journal-max-age", "%v is less than a second", o.JournalMaxAge)
	}
	if _, err := o.CompileHandlers(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// MaxEvent is the most that name and payload of an event that is published here
// may have together, in bytes.
func (o *Options) MaxEvent() int {
	if !o.PeerLinks {
		return o.UserEventSizeLimit
	}
	return max(o.UserEventSizeLimit, o.MaxEventSize)
}

// MayRefer tells whether an event may be published by reference.
func (o *Options) MayRefer(name string, payload []byte) bool {
	return o.PeerLinks && len(name)+len(payload) <= o.MaxEventSize && len(name) <= large.MaxName
}

func (o *Options) validateMDNS(bad func(name, format string, args ...any)) {
	if o.MDNS.Interface == "" {
		return
	}
	if o.Discover == "" {
		bad("mdns-iface", "has no effect without -discover")
	}
	if _, err := net.InterfaceByName(o.MDNS.Interface); err != nil {
		bad("mdns-iface", "%q: %w", o.MDNS.Interface, err)
	}
	if o.MDNS.DisableIPv4 && o.MDNS.DisableIPv6 {
		bad("mdns-disable-ipv4", "and mdns-disable-ipv6 leave no way to look for peers")
	}
}

// checkKey accepts an empty key and base64 of 16, 24 or 32 bytes.
func checkKey(key string) error {
	if key == "" {
		return nil
	}
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		return errors.New("the key is not base64: make one with \"agentctl keygen\"")
	}
	if n := len(raw); n != 16 && n != 24 && n != 32 {
		return fmt.Errorf("the key has %d bytes, want 16, 24 or 32: make one with \"agentctl keygen\"", n)
	}
	return nil
}

// SplitAddr takes "host", "host:port", "[::1]" or "[::1]:port" apart; the port
// defaults to serf's. A name is resolved, since memberlist binds to addresses.
func SplitAddr(addr string) (host string, port int, err error) {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		if ae, ok := errors.AsType[*net.AddrError](err); !ok || ae.Err != "missing port in address" {
			return "", 0, err
		}
		addr = fmt.Sprintf("%s:%d", addr, DefaultBindPort)
	}
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return "", 0, err
	}
	if tcp.IP == nil {
		return "", 0, fmt.Errorf("%q has no host", addr)
	}
	return tcp.IP.String(), tcp.Port, nil
}

// checkListen checks an address to listen on: host:port or unix:/path.
func checkListen(addr string) error {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		if path == "" {
			return errors.New("unix: needs a path, such as unix:/run/agentctl.sock")
		}
		return nil
	}
	_, _, err := net.SplitHostPort(addr)
	return err
}
