package agent

import (
	"fmt"
	"io"
	"log"
	"testing"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/config"
	"agentctl/agent/gossip"
	"agentctl/agent/memnet"
)

// newMemNet makes a network in memory with a transport for each of the names.
func newMemNet(names ...string) (transports map[string]*memnet.Transport) {
	return memNetOn(memnet.New(memnet.Config{}), names...)
}

func memNetOn(n *memnet.Network, names ...string) (transports map[string]*memnet.Transport) {
	transports = map[string]*memnet.Transport{}
	for i, name := range names {
		transports[name] = n.Add(fmt.Sprintf("10.0.0.%d:7946", i+1))
	}
	return transports
}

// bareSerf is a serf node without an agent.
func bareSerf(t *testing.T, transport *memnet.Transport, name string, events chan serf.Event, change ...func(*config.Options)) (*serf.Serf, memberlist.Delegate) {
	t.Helper()
	o := options(func(o *config.Options) { o.NodeName, o.UserEventSizeLimit = name, serf.UserEventSizeLimit })
	for _, c := range change {
		c(&o)
	}
	conf, err := gossip.Configure(compiled(t, o), log.New(io.Discard, "", 0))
	if err != nil {
		t.Fatal(err)
	}
	conf.EventCh, conf.MemberlistConfig.Transport = events, transport
	s, err := serf.Create(conf)
	if err != nil {
		t.Fatal(err)
	}
	return s, conf.MemberlistConfig.Delegate
}
