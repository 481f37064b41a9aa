package gossip

import (
	"fmt"
	"io"
	"log"
	"maps"
	"net/netip"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/config"
)

// ReclaimTime is how long after a member was found to have failed another
// address may have its name: a machine or container that died and was made anew.
// By itself memberlist first has to forget it, which takes up to a minute.
const ReclaimTime = 5 * time.Second

// Configure makes serf's configuration of ours, and picks the addresses of this
// machine that the node is to have. Nothing is opened yet.
func Configure(o *config.Config, logger *log.Logger) (*serf.Config, error) {
	bind, err := Bind(o)
	if err != nil {
		return nil, err
	}
	host, port := bind.Addr().String(), int(bind.Port())
	conf := serf.DefaultConfig()
	switch o.Profile {
	case "wan":
		conf.MemberlistConfig = memberlist.DefaultWANConfig()
	case "local":
		conf.MemberlistConfig = memberlist.DefaultLocalConfig()
	default:
		conf.MemberlistConfig = memberlist.DefaultLANConfig()
	}
	ml := conf.MemberlistConfig
	ml.BindAddr, ml.BindPort = host, port
	if o.AdvertiseAddr.IsValid() {
		ml.AdvertiseAddr, ml.AdvertisePort = o.AdvertiseAddr.Addr().String(), int(o.AdvertiseAddr.Port())
	} else if addr := advertised(host); addr.IsValid() {
		ml.AdvertiseAddr, ml.AdvertisePort = addr.String(), port
		if s := scopeOf(addr); s == linkLocal || s == loopback {
			logger.Printf("[WARN] agent: this machine has no address that others surely reach: they are told %s; give the right one with -advertise", addr)
		}
	}
	ml.DeadNodeReclaimTime = ReclaimTime
	ml.EnableCompression = o.EnableCompression
	most := strangersMost
	if o.AsSerf {
		most = strangersAsSerf
	}
	conf.Logger = remedying(thinStrangers(logger, most), o.NodeName)
	ml.Logger = conf.Logger
	if !o.AsSerf {
		ml.Logger = quieter(conf.Logger, o.NodeName)
	}
	ml.LogOutput, conf.LogOutput = nil, nil

	conf.NodeName = o.NodeName
	conf.ProtocolVersion = uint8(o.Protocol)
	conf.SnapshotPath = o.SnapshotPath
	conf.RejoinAfterLeave = o.RejoinAfterLeave
	conf.BroadcastTimeout = o.BroadcastTimeout
	if o.EndsAtOnce() {
		conf.LeavePropagateDelay = 0 // as in serf up to 0.8.1
	}
	conf.QuerySizeLimit = o.QuerySizeLimit
	conf.QueryResponseSizeLimit = o.QueryResponseSizeLimit
	conf.UserEventSizeLimit = serf.UserEventSizeLimit // package publish has the limit that was set
	conf.EnableNameConflictResolution = !o.DisableNameResolution
	conf.DisableCoordinates = o.DisableCoordinates
	conf.ValidateNodeNames = o.ValidateNodeNames
	conf.MsgpackUseNewTimeFormat = o.NewTimeFormat
	ml.MsgpackUseNewTimeFormat = o.NewTimeFormat
	for _, d := range []struct {
		to   *time.Duration
		from time.Duration
	}{
		{&conf.ReconnectInterval, o.ReconnectInterval},
		{&conf.ReconnectTimeout, o.ReconnectTimeout},
		{&conf.TombstoneTimeout, o.TombstoneTimeout},
	} {
		if d.from != 0 {
			*d.to = d.from
		}
	}
	// Serf tells each member event at once, and package intake gathers them: serf's
	// own gathering loses changes of members and tells others again. User events are
	// not gathered here either, since that loses all but the last of a name.
	conf.CoalescePeriod, conf.UserCoalescePeriod = 0, 0

	conf.Tags = maps.Clone(o.NodeTags)
	conf.KeyringFile = o.KeysFile
	if len(o.Keys) > 0 {
		if ml.Keyring, err = memberlist.NewKeyring(o.Keys, o.Keys[0]); err != nil {
			return nil, fmt.Errorf("keyring: %w", err)
		}
	}
	return conf, nil
}

// Bind is the address of this machine that the node takes gossip at: that of -bind,
// or one of the interface of -iface.
func Bind(o *config.Config) (netip.AddrPort, error) {
	if o.Interface == "" {
		return o.BindAddr, nil
	}
	addr, err := interfaceAddr(o.Interface, o.BindAddr.Addr())
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%s: %w", o.Label("iface"), err)
	}
	return netip.AddrPortFrom(addr, o.BindAddr.Port()), nil
}

// Check tells whether this machine has the addresses that a node with the
// configuration needs. It opens nothing.
func Check(c *config.Config) error {
	_, err := Configure(c, log.New(io.Discard, "", 0))
	return err
}

// interfaceAddr picks the address of a network interface to bind to: bind, if
// the interface has it; any usable one where bind is 0.0.0.0.
func interfaceAddr(name string, bind netip.Addr) (netip.Addr, error) {
	addrs, err := interfaceAddrs(name)
	if err != nil {
		return netip.Addr{}, err
	}
	anyAddr := bind == netip.IPv4Unspecified()
	for _, addr := range addrs {
		if anyAddr && !addr.IsLinkLocalUnicast() || addr == bind {
			return addr, nil
		}
	}
	if anyAddr {
		return netip.Addr{}, fmt.Errorf("%q has no usable address", name)
	}
	return netip.Addr{}, fmt.Errorf("%q does not have the address %s of -bind", name, bind)
}
