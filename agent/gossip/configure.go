package gossip

import (
	"fmt"
	"io"
	"log"
	"maps"
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
	host, port := o.BindAddr.Addr().String(), int(o.BindAddr.Port())
	var err error
	if o.Interface != "" {
		if host, err = interfaceAddr(o.Interface, host); err != nil {
			return nil, fmt.Errorf("%s: %w", o.Label("iface"), err)
		}
	}
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
	conf.Logger = remedying(logger, o.NodeName)
	ml.Logger = conf.Logger
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

// Check tells whether this machine has the addresses that a node with the
// configuration needs. It opens nothing.
func Check(c *config.Config) error {
	_, err := Configure(c, log.New(io.Discard, "", 0))
	return err
}

// interfaceAddr picks the address of a network interface to bind to: host, if
// the interface has it; any usable one where host is 0.0.0.0.
func interfaceAddr(name, host string) (string, error) {
	addrs, err := interfaceAddrs(name)
	if err != nil {
		return "", err
	}
	for _, addr := range addrs {
		if host == "0.0.0.0" && !addr.IsLinkLocalUnicast() {
			return addr.String(), nil
		}
		if addr.String() == host {
			return host, nil
		}
	}
	if host == "0.0.0.0" {
		return "", fmt.Errorf("%q has no usable address", name)
	}
	return "", fmt.Errorf("%q does not have the address %s of -bind", name, host)
}
