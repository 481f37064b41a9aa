package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Setting is one thing that can be configured: by a flag, a variable of the
// environment, and a key of a configuration file. One table of them serves
// all three and the help, so that no two disagree.
type Setting struct {
	Flag    string // "" where there is no flag, as in serf
	Key     string // in a configuration file; "" where there is none
	Arg     string // how the help calls the value
	Usage   string
	Repeat  bool // given again it adds a value
	Secret  bool // never shown
	sep     string
	pointer func(*Options) any
}

// inverted is a flag whose truth makes its field false.
type inverted bool

// Env is the name of the variable: AGENTCTL_ and the flag's name, or the
// key's where there is no flag, in capitals.
func (s Setting) Env() string {
	name := s.Flag
	if name == "" {
		name = s.Key
	}
	return "AGENTCTL_" + strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(name))
}

// Name is how messages call the setting.
func (s Setting) Name() string {
	if s.Flag != "" {
		return "-" + s.Flag
	}
	return s.Key
}

// IsBool reports whether a flag may be given without a value.
func (s Setting) IsBool() bool {
	switch s.pointer(new(Options)).(type) {
	case *bool, *inverted:
		return true
	}
	return false
}

// Set applies a flag's value to o. A setting that repeats adds to what is there.
func (s Setting) Set(o *Options, value string) error {
	switch p := s.pointer(o).(type) {
	case *string:
		*p = value
	case *bool:
		b, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("%q is not true or false", value)
		}
		*p = b
	case *inverted:
		b, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("%q is not true or false", value)
		}
		*p = inverted(!b)
	case *int:
		n, err := strconv.Atoi(value)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", value)
		}
		*p = n
	case *time.Duration:
		d, err := time.ParseDuration(value)
		if err != nil {
			return fmt.Errorf("%q is not a duration such as 30s or 5m", value)
		}
		*p = d
	case *[]string:
		*p = append(*p, value)
	case *map[string]string:
		k, v, ok := strings.Cut(value, "=")
		if !ok || k == "" {
			return fmt.Errorf("%q is not key=value", value)
		}
		if *p == nil {
			*p = map[string]string{}
		}
		(*p)[k] = v
	case *[]TargetOptions:
		return errors.New("targets can only be given in a configuration file")
	default:
		panic(fmt.Sprintf("setting %s has a field of type %T", s.Name(), p))
	}
	return nil
}

// Default is the setting's value in o as the help shows it, "" where there is
// none to show.
func (s Setting) Default(o *Options) string {
	switch p := s.pointer(o).(type) {
	case *string:
		return *p
	case *int:
		return strconv.Itoa(*p)
	case *bool:
		if *p {
			return "true"
		}
	case *inverted:
		if !*p {
			return "true"
		}
	case *time.Duration:
		if *p != 0 { // else serf's
			return strings.NewReplacer("m0s", "m", "h0m0s", "h").Replace(p.String())
		}
	}
	return ""
}

// SetEnv applies the value of the setting's variable. Where the setting
// repeats, the values stand on lines of their own or, except for event
// handlers, between commas.
func (s Setting) SetEnv(o *Options, value string) error {
	if !s.Repeat {
		return s.Set(o, value)
	}
	for v := range strings.FieldsFuncSeq(value, func(r rune) bool { return strings.ContainsRune("\n"+s.sep, r) }) {
		if err := s.Set(o, strings.TrimSpace(v)); err != nil {
			return err
		}
	}
	return nil
}

// Settings are all settings, in the order of the help: serf's first.
func Settings() []Setting { return settings }

var settings = []Setting{
	{Flag: "bind", Key: "bind", Arg: "ADDR", Usage: "address to listen on for gossip, TCP and UDP; [::1] or [::1]:7946 for IPv6",
		pointer: func(o *Options) any { return &o.Bind }},
	{Flag: "iface", Key: "interface", Arg: "NAME", Usage: "network interface to bind to, and to look for peers on with -discover",
		pointer: func(o *Options) any { return &o.Interface }},
	{Flag: "advertise", Key: "advertise", Arg: "ADDR", Usage: "address that other members reach this one at; without it that of -bind, or of the default route's interface where -bind is all addresses",
		pointer: func(o *Options) any { return &o.Advertise }},
	{Flag: "node", Key: "node_name", Arg: "NAME", Usage: "name of this node, unique in the cluster; the host's name by default",
		pointer: func(o *Options) any { return &o.NodeName }},
	{Flag: "tag", Key: "tags", Arg: "KEY=VALUE", Usage: "tag of this node", Repeat: true, sep: ",",
		pointer: func(o *Options) any { return &o.Tags }},
	{Flag: "tags-file", Key: "tags_file", Arg: "FILE", Usage: "file that keeps the tags as they change; not together with -tag",
		pointer: func(o *Options) any { return &o.TagsFile }},
	{Flag: "role", Key: "role", Arg: "NAME", Usage: "deprecated: use -tag role=NAME",
		pointer: func(o *Options) any { return &o.Role }},
	{Flag: "profile", Key: "profile", Arg: "lan|wan|local", Usage: "timing of the gossip",
		pointer: func(o *Options) any { return &o.Profile }},
	{Flag: "protocol", Key: "protocol", Arg: "N", Usage: "serf protocol version to speak, 2 to 5",
		pointer: func(o *Options) any { return &o.Protocol }},
	{Flag: "join", Key: "start_join", Arg: "ADDR", Usage: "agent to join at start; a failure ends the program", Repeat: true, sep: ",",
		pointer: func(o *Options) any { return &o.StartJoin }},
	{Flag: "retry-join", Key: "retry_join", Arg: "ADDR", Usage: "agent to join, tried again until it works, and later whenever it is no member: host, host:port or dns+srv://name", Repeat: true, sep: ",",
		pointer: func(o *Options) any { return &o.RetryJoin }},
	{Flag: "retry-interval", Key: "retry_interval", Arg: "TIME", Usage: "longest wait between tries of -retry-join",
		pointer: func(o *Options) any { return &o.RetryInterval }},
	{Flag: "retry-max", Key: "retry_max_attempts", Arg: "N", Usage: "end the program after so many failed tries of -retry-join; 0 never",
		pointer: func(o *Options) any { return &o.RetryMaxAttempts }},
	{Flag: "replay", Key: "replay_on_join", Usage: "take in the events from before a join",
		pointer: func(o *Options) any { return &o.ReplayOnJoin }},
	{Flag: "rejoin", Key: "rejoin_after_leave", Usage: "join again after an earlier leave, from the snapshot",
		pointer: func(o *Options) any { return &o.RejoinAfterLeave }},
	{Flag: "snapshot", Key: "snapshot_path", Arg: "FILE", Usage: "serf's snapshot file: known members and clocks",
		pointer: func(o *Options) any { return &o.SnapshotPath }},
	{Flag: "discover", Key: "discover", Arg: "NAME", Usage: "find and join peers of this cluster name by mDNS",
		pointer: func(o *Options) any { return &o.Discover }},
	{Flag: "mdns-iface", Key: "mdns.interface", Arg: "NAME", Usage: "network interface for mDNS, where it differs from -iface",
		pointer: func(o *Options) any { return &o.MDNS.Interface }},
	{Flag: "mdns-disable-ipv4", Key: "mdns.disable_ipv4", Usage: "no mDNS over IPv4",
		pointer: func(o *Options) any { return &o.MDNS.DisableIPv4 }},
	{Flag: "mdns-disable-ipv6", Key: "mdns.disable_ipv6", Usage: "no mDNS over IPv6",
		pointer: func(o *Options) any { return &o.MDNS.DisableIPv6 }},
	{Flag: "encrypt", Key: "encrypt_key", Arg: "KEY", Usage: "base64 key that encrypts gossip; see agentctl keygen", Secret: true,
		pointer: func(o *Options) any { return &o.EncryptKey }},
	{Flag: "keyring-file", Key: "keyring_file", Arg: "FILE", Usage: "file that keeps the encryption keys as they change",
		pointer: func(o *Options) any { return &o.KeyringFile }},
	{Flag: "rpc-addr", Key: "rpc_addr", Arg: "ADDR", Usage: "address to listen on for RPC: host:port or unix:/path",
		pointer: func(o *Options) any { return &o.RPCAddr }},
	{Key: "rpc_auth", Usage: "key that RPC clients have to give", Secret: true,
		pointer: func(o *Options) any { return &o.RPCAuthKey }},
	{Flag: "broadcast-timeout", Key: "broadcast_timeout", Arg: "TIME", Usage: "longest wait for a leave or a removal to go out",
		pointer: func(o *Options) any { return &o.BroadcastTimeout }},
	{Flag: "disable-compression", Usage: "send gossip uncompressed; the default but for serf, and false compresses it",
		pointer: func(o *Options) any { return (*inverted)(&o.EnableCompression) }},
	{Key: "enable_compression", Usage: "compress gossip: the opposite of -disable-compression",
		pointer: func(o *Options) any { return &o.EnableCompression }},
	{Flag: "log-level", Key: "log_level", Arg: "trace|debug|info|warn|err", Usage: "least level that is logged, in small or capital letters",
		pointer: func(o *Options) any { return &o.LogLevel }},
	{Flag: "syslog", Key: "enable_syslog", Usage: "log to syslog as well",
		pointer: func(o *Options) any { return &o.EnableSyslog }},
	{Key: "syslog_facility", Usage: "facility of -syslog",
		pointer: func(o *Options) any { return &o.SyslogFacility }},
	{Key: "leave_on_terminate", Usage: "leave the cluster on SIGTERM",
		pointer: func(o *Options) any { return &o.LeaveOnTerm }},
	{Key: "skip_leave_on_interrupt", Usage: "do not leave the cluster on SIGINT",
		pointer: func(o *Options) any { return &o.SkipLeaveOnInt }},
	{Key: "reconnect_interval", Usage: "how often a failed member is tried again",
		pointer: func(o *Options) any { return &o.ReconnectInterval }},
	{Key: "reconnect_timeout", Usage: "when a failed member is given up",
		pointer: func(o *Options) any { return &o.ReconnectTimeout }},
	{Key: "tombstone_timeout", Usage: "how long a member that left is remembered",
		pointer: func(o *Options) any { return &o.TombstoneTimeout }},
	{Key: "disable_name_resolution", Usage: "do not settle who may keep a name that two nodes claim",
		pointer: func(o *Options) any { return &o.DisableNameResolution }},
	{Key: "disable_coordinates", Usage: "keep no network coordinates",
		pointer: func(o *Options) any { return &o.DisableCoordinates }},
	{Key: "validate_node_names", Usage: "refuse a node name with other than letters, digits, dashes and dots",
		pointer: func(o *Options) any { return &o.ValidateNodeNames }},
	{Key: "query_response_size_limit", Usage: "most bytes of a query's response",
		pointer: func(o *Options) any { return &o.QueryResponseSizeLimit }},
	{Key: "query_size_limit", Usage: "most bytes of a query",
		pointer: func(o *Options) any { return &o.QuerySizeLimit }},
	{Key: "user_event_size_limit", Usage: "most bytes of an event's name and payload together",
		pointer: func(o *Options) any { return &o.UserEventSizeLimit }},
	{Key: "statsite_addr", Usage: "statsite server that gets serf's metrics",
		pointer: func(o *Options) any { return &o.StatsiteAddr }},
	{Key: "statsd_addr", Usage: "statsd server that gets serf's metrics",
		pointer: func(o *Options) any { return &o.StatsdAddr }},
	{Key: "MsgpackUseNewTimeFormat", Usage: "encode times in msgpack's newer form",
		pointer: func(o *Options) any { return &o.NewTimeFormat }},

	{Flag: "event-handler", Key: "event_handlers", Arg: "FILTER=WHAT", Usage: "script to run, or http://, https:// or unix: URL to POST to, for events that match", Repeat: true,
		pointer: func(o *Options) any { return &o.EventHandlers }},
	{Flag: "data-dir", Key: "data_dir", Arg: "DIR", Usage: "folder that keeps the journal, and serf's snapshot and keyring, across restarts; without it they are in memory",
		pointer: func(o *Options) any { return &o.DataDir }},
	{Flag: "journal-max-events", Key: "journal_max_events", Arg: "N", Usage: "most events that are remembered once every target has had them; 64 MiB of them at most",
		pointer: func(o *Options) any { return &o.JournalMaxEvents }},
	{Flag: "journal-max-age", Key: "journal_max_age", Arg: "TIME", Usage: "how long they are remembered",
		pointer: func(o *Options) any { return &o.JournalMaxAge }},
	{Flag: "queue-max-events", Key: "queue_max_events", Arg: "N", Usage: "most events that wait for one target; beyond it the oldest are given up, and the target is stale",
		pointer: func(o *Options) any { return &o.QueueMaxEvents }},
	{Key: "targets", Usage: "targets to POST to, with more to say of each than a URL",
		pointer: func(o *Options) any { return &o.Targets }},
	{Flag: "gateway", Key: "gateway", Arg: "URL", Usage: "endpoint that gets member events and user:kong; " + DefaultGateway + " where no -event-handler is given",
		pointer: func(o *Options) any { return &o.Gateway }},
	{Flag: "native-handlers", Key: "native_handlers", Usage: "post in place of an event handler script that Kong wrote",
		pointer: func(o *Options) any { return &o.NativeHandlers }},
	{Flag: "http-addr", Key: "http_addr", Arg: "ADDR", Usage: "address of the operations endpoint (health, metrics, status, events): host:port, unix:/path or off",
		pointer: func(o *Options) any { return &o.HTTPAddr }},
	{Flag: "http-token-file", Key: "http_token_file", Arg: "FILE", Usage: "file with a token that is then needed there to publish and to replay",
		pointer: func(o *Options) any { return &o.HTTPTokenFile }},
	{Flag: "log-format", Key: "log_format", Arg: "text|json", Usage: "form of the log",
		pointer: func(o *Options) any { return &o.LogFormat }},
	{Flag: "peer-links", Key: "peer_links", Usage: "exchange events with other agentctl agents over links of their own, on the gossip port, beside gossip",
		pointer: func(o *Options) any { return &o.PeerLinks }},
	{Flag: "direct-send", Key: "direct_send", Usage: "send events straight to stock members, beside gossip",
		pointer: func(o *Options) any { return &o.DirectSend }},
	{Flag: "max-event-size", Key: "max_event_size", Arg: "N", Usage: "most bytes of an event's name and payload together, up to 1048576; what is over user_event_size_limit reaches agentctl agents alone",
		pointer: func(o *Options) any { return &o.MaxEventSize }},
	{Flag: "drain-timeout", Key: "drain_timeout", Arg: "TIME", Usage: "longest wait for waiting events to be delivered at the end",
		pointer: func(o *Options) any { return &o.DrainTimeout }},
}
