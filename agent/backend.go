package agent

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"

	"github.com/hashicorp/serf/coordinate"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/gossip"
	"agentctl/agent/logs"
	"agentctl/agent/rpc"
	"agentctl/agent/version"
	"agentctl/handler"
	"agentctl/handler/delivery"
	"agentctl/handler/text"
)

// The methods in this file are what the RPC server calls, beside PublishReport.
// They are safe for concurrent use.

// backend is the agent as the RPC server sees it.
func (a *Agent) backend() rpc.Backend {
	return rpc.Backend{
		Cluster: a, Node: a, Keys: a.keys(), Publish: a.PublishReport, Query: a.Query,
		SubscribeEvents: a.intake.Subscribe, SubscribeLogs: a.hub.Subscribe,
	}
}

// Members are all members that are known, in no order.
func (a *Agent) Members() []serf.Member { return a.serf.Members() }

// ForceLeave declares a failed node as left; with prune it is forgotten. A node that is
// alive stays a member.
func (a *Agent) ForceLeave(node string, prune bool) error {
	msg, failed := "forcing a node to leave", "a node was not forced to leave"
	if prune {
		msg, failed = "forcing a node out", "a node was not forced out"
	}
	a.logger.Info(msg, "node", capped(node))
	denied, err := a.serf.ForceLeave(node, prune)
	if denied {
		a.logger.Warn("the node is alive and stays a member: to remove it, stop its agent or have it leave", "node", node)
	}
	if err != nil {
		a.logger.Warn(failed, "node", capped(node), "error", err)
	}
	return err
}

// Leave leaves the cluster gracefully. When it returns, the members were told, and the
// journal is in its file as far as the disk goes along. The agent runs on: see
// Shutdown. All callers wait for the same leave.
func (a *Agent) Leave() error { return a.end.leave() }

// Shutdown makes Run end as after a leave. It returns at once.
func (a *Agent) Shutdown() { a.stop(errLeft) }

// UpdateTags changes this node's tags and tells the cluster, and the tags file
// if there is one.
func (a *Agent) UpdateTags(set map[string]string, remove []string) error {
	err := a.serf.UpdateTags(set, remove, a.opts.TagsFile)
	if _, ok := errors.AsType[*gossip.NotKeptError](err); ok {
		a.logger.Error("tags are not kept", "error", err)
	}
	return err
}

// Query sends a query to the cluster. Names that serf uses itself are the
// caller's to refuse.
func (a *Agent) Query(name string, payload []byte, params *serf.QueryParam) (*serf.QueryResponse, error) {
	a.logger.Debug("sending a query", "query", capped(name), "bytes", len(payload), logs.ForSerf("payload", capped(payload)))
	return a.ask(name, payload, params)
}

// ask is Query for a question of the agent's own: the log of what was asked for is
// without it.
func (a *Agent) ask(name string, payload []byte, params *serf.QueryParam) (*serf.QueryResponse, error) {
	return a.serf.Query(name, payload, params)
}

// Coordinate is the network coordinate of a node, where it is known.
func (a *Agent) Coordinate(node string) (*coordinate.Coordinate, bool) {
	return a.serf.GetCachedCoordinate(node)
}

// Stats is what serf's info command shows.
func (a *Agent) Stats() map[string]map[string]string {
	local := a.serf.LocalMember()
	set := a.sinks.configured()
	handlers := map[string]string{}
	add := func(fs handler.Filters, what string) {
		for _, f := range fs {
			key := fmt.Sprintf("%s:%s", f.Type, f.Name) // as serf has it, which shows the last of several
			if other := handlers[key]; other != "" && !a.opts.AsSerf {
				handlers[key] = other + ", " + what
			} else {
				handlers[key] = what
			}
		}
	}
	for _, t := range set.Targets {
		add(t.Filters, t.Name)
	}
	for _, s := range set.Scripts {
		add(s.Filters, text.Redact(s.Command))
	}
	agent := map[string]string{"name": local.Name}
	if !a.opts.AsSerf {
		agent["version"] = version.Version
	}
	return map[string]map[string]string{
		"agent": agent,
		"runtime": {
			"os":         runtime.GOOS,
			"arch":       runtime.GOARCH,
			"version":    runtime.Version(),
			"max_procs":  strconv.Itoa(runtime.GOMAXPROCS(0)),
			"goroutines": strconv.Itoa(runtime.NumGoroutine()),
			"cpu_count":  strconv.Itoa(runtime.NumCPU()),
		},
		"serf":           a.serf.Stats(),
		"tags":           local.Tags,
		"event_handlers": handlers,
	}
}

// Targets are the states of all targets.
func (a *Agent) Targets() []delivery.Status { return a.sinks.status() }

// keys are the keys that encrypt gossip, on all members.
type keys struct{ agent *Agent }

func (a *Agent) keys() keys { return keys{a} }

// InstallKey has all members take a key in addition.
func (k keys) InstallKey(key string) (*serf.KeyResponse, error) {
	k.agent.logger.Info("installing a key on all members")
	return k.agent.serf.KeyManager().InstallKey(key)
}

// UseKey has all members encrypt with a key.
func (k keys) UseKey(key string) (*serf.KeyResponse, error) {
	k.agent.logger.Info("changing the primary key on all members")
	return k.agent.serf.KeyManager().UseKey(key)
}

// RemoveKey has all members forget a key.
func (k keys) RemoveKey(key string) (*serf.KeyResponse, error) {
	k.agent.logger.Info("removing a key on all members")
	return k.agent.serf.KeyManager().RemoveKey(key)
}

// ListKeys asks all members for their keys.
func (k keys) ListKeys() (*serf.KeyResponse, error) {
	k.agent.logger.Info("listing the keys of all members")
	return k.agent.serf.KeyManager().ListKeys()
}
