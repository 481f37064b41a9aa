package config

import (
	"maps"
	"slices"
	"time"

	"agentctl/agent/large"
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
	// DefaultProtocol is the version of serf's protocol that an agent announces. Serf
	// 0.7.0 and 0.8.0 understand 2 to 4 and refuse whoever announces 5, which stock
	// serf does since 0.8.1. Nothing in serf depends on whether it is 4 or 5.
	DefaultProtocol = 4
	// Off as an address means that nothing listens.
	Off = "off"

	// Serf's own bounds, which a test holds against serf.
	minProtocol, maxProtocol = 2, 5
	maxUserEvent             = 9 << 10 // bytes of an encoded user event
)

// MDNSOptions say how -discover looks for peers.
type MDNSOptions struct {
	Interface   string
	DisableIPv4 bool
	DisableIPv6 bool
}

// Options are the plain settings of an agent, as they are given. The zero value
// is not usable: begin with [DefaultOptions]. The fields down to
// UserEventSizeLimit mean what serf's settings of the same name mean; see
// [Settings] for each one's names and text.
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
	RetryMaxAttempts int // 0 or less: no end
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
	UserEventSizeLimit     int // bytes of a payload, at most 9,216; the name counts too where a gossip packet does not hold both

	// What agentctl adds.

	AsSerf         bool     // there is no gateway unless one is given, and texts are serf's
	EventHandlers  []string // FILTER=SCRIPT as in serf, or FILTER=URL
	NativeHandlers bool     // post in place of a script that Kong wrote
	Targets        []TargetOptions
	Gateway        string        // a URL that gets what the preset kong sends
	HTTPAddr       string        // host:port, or "off"
	HTTPTokenFile  string        // of the token that requests have to bear that change something; "": none
	LogFormat      string        // text or json
	PeerLinks      bool          // send events to agents of ours over links
	DirectSend     bool          // and straight to other members
	MaxEventSize   int           // bytes of name and payload together of what agents of ours get, at most 1 MiB
	DrainTimeout   time.Duration // 0: the agent ends at once

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
		Protocol:               DefaultProtocol,
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
// and no operations endpoint, SIGTERM does not leave the cluster, an event over
// serf's limit is refused, and the agent ends at once.
func SerfOptions() Options {
	o := DefaultOptions()
	o.AsSerf = true
	o.MaxEventSize = 0
	o.HTTPAddr = Off
	o.LeaveOnTerm = false
	o.DrainTimeout = 0
	o.EnableCompression = true
	return o
}

// MaxEvent is the most that the payload of an event that is published here may have,
// in bytes. Above UserEventSizeLimit it is the most of name and payload together.
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

// EndsAtOnce tells whether an agent waits for nothing at its end: no gateway, no
// script, and no disk to speak of.
func (o *Options) EndsAtOnce() bool { return o.DrainTimeout == 0 }

// clone is a copy that shares nothing with o that reading more settings would
// change.
func (o *Options) clone() Options {
	c := *o
	c.Tags = maps.Clone(o.Tags)
	c.StartJoin, c.RetryJoin = slices.Clone(o.StartJoin), slices.Clone(o.RetryJoin)
	c.EventHandlers, c.Targets = slices.Clone(o.EventHandlers), slices.Clone(o.Targets)
	return c
}
