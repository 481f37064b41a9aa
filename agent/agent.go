package agent

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent/broadcast"
	"agentctl/agent/config"
	"agentctl/agent/durable"
	"agentctl/agent/gossip"
	"agentctl/agent/intake"
	"agentctl/agent/large"
	"agentctl/agent/link"
	"agentctl/agent/logs"
	"agentctl/agent/membership"
	"agentctl/agent/ops"
	"agentctl/agent/packets"
	"agentctl/agent/peers"
	"agentctl/agent/publish"
	"agentctl/agent/repair"
	"agentctl/agent/rpc"
	"agentctl/agent/suspicion"
	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/journal/disk"
)

// Hooks are what the caller of [New] hangs on the agent. The functions are called as
// events go their way, for the dev command to show them, and must not block. Any hook
// may be nil.
type Hooks struct {
	// Published is called before an event that an RPC client sent here goes
	// to the cluster.
	Published func(name string, payload []byte)
	// Taken is called with each event that targets are to get, once the journal
	// has it.
	Taken func(e handler.Event)
	// Attempted is called after each attempt to post an event to a target;
	// err is nil when the target has taken it.
	Attempted func(target string, e handler.Event, err error, took time.Duration)
	// Stopping is called once the agent is about to leave the cluster and end,
	// whatever the cause.
	Stopping func()
	// Metrics is where the agent's metrics are registered; nil makes a registry. What
	// counts for serf too can be there before the agent is.
	Metrics *prometheus.Registry
}

// Ports are what an agent is given in place of ports of this machine: a network
// in memory, for a test or a simulation. The agent opens those that are nil as the
// options say.
type Ports struct {
	Gossip memberlist.NodeAwareTransport
	RPC    net.Listener
	HTTP   net.Listener // of the operations endpoint
	// Dial connects to targets, and to RPC for a health check. It is
	// [net.Dialer.DialContext] if it is nil.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Agent is a serf node with targets and scripts. [New] makes one, [Agent.Run]
// runs it to its end. Methods are safe for concurrent use.
type Agent struct {
	opts   *config.Config
	ports  Ports // RPC is set, once it is open
	hub    *logs.Hub
	logger *slog.Logger
	hooks  Hooks // Metrics is set

	journal *journal.Journal
	disk    keeper // of the journal; nil if there is no data directory
	past    past
	sinks   *sinks
	intake  *intake.Intake
	times   times // of the user events that came

	serf      *gossip.Node
	peers     *peers.Peers
	links     *link.Links    // nil if there are none
	repair    *repair.Repair // likewise
	large     *large.Bodies
	publisher publisher
	members   members

	rpc *rpc.Server
	ops *ops.Server

	stops stopStack
	end   ending
}

// keeper keeps the journal on a disk.
type keeper interface {
	Status() disk.Status
	LastCommit() time.Duration
	Sync(context.Context) error
	Abandon(context.Context)
}

// times are the Lamport times that members send: holes in them, and those that cannot be.
type times struct {
	*suspicion.Times
	far *farTimes
}

// publisher publishes events, and brings them to the other members.
type publisher struct {
	*publish.Publisher
	broadcast *broadcast.Broadcast
	rumors    atomic.Pointer[publish.Publisher] // the same; serf begins before it is there
	durable   *durable.Durable                  // is there before
	httpAddr  string                            // see Agent.httpAddr
}

// past is what this node was before this process.
type past struct {
	// returning says that the journal is of an earlier process: this node was
	// away, and takes in what it missed. lastLTime is the last Lamport time of a
	// user event in there.
	returning bool
	lastLTime uint64
	// bereft says that a node that was away has no journal of its earlier process:
	// all targets may lack events.
	bereft bool
	// snapshot is what serf knows of it.
	snapshot gossip.SnapshotFile
}

// members are the parts that see to who is in the cluster.
type members struct {
	joiner    *membership.Joiner
	rejoiner  *membership.Rejoiner
	views     *membership.Views     // nil if there are no links
	discovery *membership.Discovery // nil without -discover
	packets   *packets.Watch
	out       shutOut
}

// ending is how an agent is told to end.
type ending struct {
	once    sync.Once
	stopped chan struct{} // closed when the agent is to end
	cause   error         // why; set before stopped is closed

	leave   func() error // leaves the cluster, once for all callers
	leaving atomic.Bool  // set by leave
	drained time.Time    // until when what waits is delivered; set by Run when it ends

	sending       context.Context // ends when nothing is to be sent any more
	noMoreSending context.CancelFunc
}

// Metrics is where the agent's metrics are, and where others can be added.
func (a *Agent) Metrics() *prometheus.Registry { return a.hooks.Metrics }

// errLeft is the cause of an end that an RPC client asked for.
var errLeft = errors.New("told to leave")

// stop makes Run end for the given cause; only the first one counts.
func (a *Agent) stop(cause error) {
	a.end.once.Do(func() {
		a.end.cause = cause
		close(a.end.stopped)
	})
}

// Close frees what New opened, for an agent that is not run, or whose Run left its
// parts running. Otherwise Run does the same at its end. Nothing leaves the cluster.
func (a *Agent) Close() error {
	a.end.noMoreSending()
	return a.stops.drain()
}
