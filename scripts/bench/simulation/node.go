//go:build linux

package simulation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent"
	"agentctl/agent/config"
	"agentctl/agent/logs"
	"agentctl/agent/memnet"
	"agentctl/agent/peers"
	"agentctl/handler"
)

// eventName is the name of the events that are published.
const eventName = "kong"

// program is what runs on a node.
type program interface {
	join(addr string) error
	publish(payload []byte) error
	members() []serf.Member
	// grown tells whether the program has its part of the trees, in a cluster of this size
	// in which every node has one.
	grown(nodes int) bool
	// run works until ctx ends. An error says why it ended by itself.
	run(ctx context.Context) error
}

// agentctl is an agent of ours.
type agentctl struct{ *agent.Agent }

func newAgent(name, profile string, on memberlist.NodeAwareTransport, hub *logs.Hub, taken func()) (program, error) {
	o := config.DefaultOptions()
	o.NodeName, o.Profile, o.HTTPAddr = name, profile, config.Off
	o.EventHandlers = []string{"user:of-no-simulation=true"} // else the default gateway gets POSTs
	conf, err := config.Compile(config.Input{Defaults: o})
	if err != nil {
		return nil, err
	}
	hooks := agent.Hooks{Taken: func(e handler.Event) {
		if e.Type == handler.User && e.Name == eventName {
			taken()
		}
	}}
	a, err := agent.NewOn(agent.Ports{Gossip: on, RPC: memnet.NoListener()}, conf, hub, hooks)
	return agentctl{a}, err
}

func (a agentctl) join(addr string) error {
	_, err := a.Join([]string{addr}, false)
	return err
}

func (a agentctl) publish(payload []byte) error {
	return a.Publish(context.Background(), eventName, payload, false)
}

func (a agentctl) members() []serf.Member { return a.Members() }

func (a agentctl) grown(nodes int) bool {
	t := a.Trees()
	return nodes <= peers.FullyLinked || t != nil && len(t.Served) == 0 && t.Neighbours > 0
}

func (a agentctl) run(ctx context.Context) error {
	if err := a.Run(ctx); !errors.Is(err, agent.ErrNoLeave) {
		return fmt.Errorf("it has ended: %w", err)
	}
	return nil
}

// stock is serf, configured as the stock agent configures it, without that agent's
// RPC server and log.
type stock struct {
	*serf.Serf
	events chan serf.Event
	taken  func()
}

func newStock(name string, cfg Config, on memberlist.NodeAwareTransport, taken func()) (program, error) {
	s := stock{events: make(chan serf.Event, cfg.Nodes+64), taken: taken} // the nodes join before it runs
	conf := serf.DefaultConfig()
	if cfg.Profile == "wan" {
		conf.MemberlistConfig = memberlist.DefaultWANConfig()
	}
	conf.NodeName, conf.EventCh = name, s.events
	conf.ProtocolVersion = serf.ProtocolVersionMax
	conf.Logger = log.New(io.Discard, "", 0)
	conf.MemberlistConfig.EnableCompression = false
	conf.MemberlistConfig.Logger, conf.MemberlistConfig.LogOutput, conf.LogOutput = conf.Logger, nil, nil
	conf.MemberlistConfig.Transport = on
	var err error
	s.Serf, err = serf.Create(conf)
	return s, err
}

func (s stock) join(addr string) error {
	_, err := s.Join([]string{addr}, true)
	return err
}

func (s stock) publish(payload []byte) error { return s.UserEvent(eventName, payload, false) }

func (s stock) members() []serf.Member { return s.Members() }

func (s stock) grown(int) bool { return true }

func (s stock) run(ctx context.Context) error {
	for {
		select {
		case e := <-s.events:
			if e, ok := e.(serf.UserEvent); ok && e.Name == eventName {
				s.taken()
			}
		case <-s.ShutdownCh():
			return errors.New("serf has ended by itself")
		case <-ctx.Done():
			ended := make(chan error, 1)
			go func() { ended <- s.Shutdown() }()
			for { // serf may wait for its events to be taken, and then does not end
				select {
				case <-s.events:
				case err := <-ended:
					return err
				}
			}
		}
	}
}
