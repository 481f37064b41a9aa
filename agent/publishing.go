package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/broadcast"
	"agentctl/agent/gossip"
	"agentctl/agent/link"
	"agentctl/agent/logs"
	"agentctl/agent/publish"
	"agentctl/agent/rpc"
)

// openPublisher makes what publishes events to a cluster.
func (a *Agent) openPublisher(ml *memberlist.Config) {
	a.openBroadcast(ml)
	a.publisher.Publisher, a.publisher.httpAddr = publish.New(publish.Config{
		Self: a.opts.NodeName, Node: a.serf, Intake: a.intake, Large: a.large, Peers: a.peers, Broadcast: a.publisher.broadcast,
		Limit: a.opts.UserEventSizeLimit, MaxMessage: gossip.MaxMessage(ml), MaxEvent: a.opts.MaxEvent(), MayRefer: a.opts.MayRefer,
		Joined: a.members.joiner.Joined(), Sending: a.end.sending, Returning: a.past.returning, LastLTime: a.past.lastLTime,
		Publishing: a.hooks.Published, Refused: a.times.far.by("link"),
		Logger: a.logger, Metrics: a.hooks.Metrics,
	}), a.httpAddr()
	a.publisher.rumors.Store(a.publisher.Publisher)
}

// fullyLinked is another value of [peers.FullyLinked] in tests.
var fullyLinked int

// openBroadcast makes what brings events to the other members.
func (a *Agent) openBroadcast(ml *memberlist.Config) {
	cfg := broadcast.Config{
		Self: a.opts.NodeName, Members: a.reachable, Peers: a.peers, Links: a.links, Memberlist: a.serf.Memberlist(),
		FullyLinked: fullyLinked, RTT: a.rtt, Take: func(events []broadcast.Message) { a.publisher.TakeTree(events) },
		Linked: func(from link.Peer, msgs [][]byte) { a.publisher.TakeLinked(from, msgs) },
		Gossip: func(events [][]byte) { a.publisher.Gossip(events) }, Sending: a.end.sending,
		Logger: a.logger, Metrics: a.hooks.Metrics,
	}
	if a.opts.DirectSend {
		cfg.Packets, cfg.Deaf = ml.UDPBufferSize, a.members.packets.Silent
	}
	if a.repair != nil {
		cfg.Met = a.met
		cfg.Missed = func(name string) { a.repair.Meet(name, "messages to a peer were dropped") }
	}
	a.publisher.broadcast = broadcast.New(cfg)
}

// rtt is how far a member is by serf's coordinates; 0 if that is not known.
func (a *Agent) rtt(name string) time.Duration {
	here, ok := a.serf.GetCachedCoordinate(a.opts.NodeName)
	there, known := a.serf.GetCachedCoordinate(name)
	if !ok || !known {
		return 0
	}
	return here.DistanceTo(there)
}

// capped is as much of a name or payload as the log may have of it, which may be full of
// such lines: what an event can have at most that serf carries.
func capped[T string | []byte](s T) string { return string(s[:min(len(s), serf.UserEventSizeLimit)]) }

// payloadText is a payload that the log shows as a text, once somebody asks for the line.
type payloadText []byte

// textOf is as much of a payload as capped has, and keeps no more than that.
func textOf(payload []byte) payloadText {
	if len(payload) > serf.UserEventSizeLimit {
		return bytes.Clone(payload[:serf.UserEventSizeLimit])
	}
	return payload
}

// GoString is that of the text, which serf has in its log.
func (p payloadText) GoString() string { return fmt.Sprintf("%#v", string(p)) }

// Publish sends a user event to the cluster, as [publish.Publisher.Publish] does.
func (a *Agent) Publish(ctx context.Context, name string, payload []byte, coalesce bool) error {
	_, err := a.publisher.Publish(ctx, name, payload, coalesce)
	return err
}

// PublishReport is Publish, and says what the publisher may want to know: who is known
// not to get the event, although it was taken; its ID; and where this agent is asked
// what became of it. If members have not said yet what they are, it may wait some two
// seconds. An agent that is called as serf tells no more than serf, but for the warning.
func (a *Agent) PublishReport(ctx context.Context, name string, payload []byte, coalesce bool) (told rpc.Published, err error) {
	a.logger.Debug("publishing", "event", capped(name), "bytes", len(payload), "coalesce", coalesce, logs.ForSerf("payload", textOf(payload)))
	sent, err := a.publisher.Report(ctx, name, payload, coalesce)
	if size, ok := errors.AsType[*publish.SizeError](err); ok && a.opts.AsSerf {
		err = errors.New(size.InSerfsWords())
	}
	if told.Warning = sent.Warning; err == nil && !a.opts.AsSerf {
		told.ID = sent.ID()
		told.HTTPAddr = a.publisher.httpAddr
	}
	return told, err
}

// httpAddr is where the operations endpoint is reached, as -http-addr takes it; "" if
// there is none.
func (a *Agent) httpAddr() string {
	addr := a.ops.Addr()
	switch {
	case addr == nil:
		return ""
	case addr.Network() == "unix":
		return "unix:" + addr.String()
	}
	return addr.String()
}
