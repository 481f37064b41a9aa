//go:build linux

package attack

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
)

// memberTrials forge gossip of members and events: some hundred packets a second, or a flood.
var memberTrials = slices.Concat(memberForgeries(gossipPacket, false), memberForgeries(memberWithKey, true), []trial{
	{way: gossipPacket, name: "the last incarnation of honest nodes", long: true, aim: "members", waits: true, do: attempt(lastIncarnation)},
})

func memberForgeries(by way, keyed bool) (all []trial) {
	for _, f := range []struct {
		name, aim string
		do        func(*stand) error
		flood     bool
		long      bool
		bitBefore bool
	}{
		{name: "suspicions of honest nodes", aim: "members", do: aboutMembers(accuse(mlSuspect))},
		{name: "deaths of honest nodes", aim: "members", do: aboutMembers(accuse(mlDead))},
		{name: "other addresses and tags of honest nodes", aim: "members", do: aboutMembers(otherAddress), bitBefore: true},
		{name: "ever new members", aim: "memory", do: inventMembers, flood: true, bitBefore: true},
		{name: "leaves and joins of honest nodes", long: true, aim: "members", do: aboutMembers(intents)},
		{name: "recorded packets, sent again", long: true, aim: "events", do: replayPackets},
		{name: "questions with answers to others", aim: "CPU, packets", do: askForOthers},
		{name: "events of odd forms", aim: "any fault", do: oddEvents},
		{name: "more events than gateways take", aim: "events", do: floodEvents, flood: true},
	} {
		all = append(all, trial{way: by, name: f.name, aim: f.aim, keyed: keyed, waits: !f.flood, long: f.long, bitBefore: f.bitBefore, do: attempt(f.do)})
	}
	return all
}

// memberForgery tells a node something about a member, the i-th time.
type memberForgery func(g *gossiper, about *proc.Node, i int)

// aboutMembers tells each of the two nodes something about both of them, again and again.
// Afterwards each has to see the other alive.
func aboutMembers(forge memberForgery) func(*stand) error {
	return func(s *stand) error {
		if err := s.repeat(func(g *gossiper, i int) {
			for _, about := range s.nodes() {
				forge(g, about, i)
			}
		}); err != nil {
			return err
		}
		return s.bothAlive()
	}
}

// repeat sends something to both nodes, again and again.
func (s *stand) repeat(send func(g *gossiper, i int)) error {
	var all []*gossiper
	for _, n := range s.nodes() {
		g := s.gossiper(n)
		all = append(all, g)
	}
	for i := range testkit.Setting(s.t, "AGENTCTL_ATTACK_ROUNDS", 500, 5000) {
		for _, g := range all {
			send(g, i)
		}
		testkit.Pause(s.ctx, 10*time.Millisecond)
	}
	return nil
}

// bothAlive notes it if an honest node does not come to see the other alive again. Memberlist
// forgets a death that it cannot be told to be wrong within a minute or two.
func (s *stand) bothAlive() error {
	for i, n := range s.nodes() {
		if other := s.nodes()[1-i]; !testkit.PollFor(4*testkit.Patience, func() bool { return n.Ended() || s.sees(n, other.Name) }) {
			s.bite("the %s does not see the %s alive any more", n.Name, other.Name)
		}
	}
	return nil
}

// accuse says that a node is suspected or dead, under ever higher incarnations.
func accuse(kind byte) memberForgery {
	return func(g *gossiper, about *proc.Node, i int) {
		g.packet(message(kind, mlAccusation{Incarnation: uint32(i), Node: about.Name, From: "ghost"}))
	}
}

// lastIncarnation says once that each node is dead, under the highest incarnation. None is
// left for the node to deny it.
func lastIncarnation(s *stand) error {
	for i, n := range s.nodes() {
		g := s.gossiper(n)
		for _, about := range []*proc.Node{s.nodes()[1-i], n} {
			g.packet(message(mlDead, mlAccusation{Incarnation: math.MaxUint32, Node: about.Name, From: "ghost"}))
		}
	}
	testkit.Pause(s.ctx, 5*time.Second)
	return s.bothAlive()
}

// otherAddress says that a node has another address, other tags, and versions that nobody
// speaks.
func otherAddress(g *gossiper, about *proc.Node, i int) {
	host, port := split(about.Gossip)
	alive := mlAliveBody{Incarnation: uint32(i), Node: about.Name, Addr: host, Port: port, Vsn: []byte{1, 5, 5, 2, 5, 4}}
	switch i % 3 {
	case 0:
		alive.Meta = []byte("\xff\x81\xa4role\xa5ghost")
	case 1:
		alive.Addr, alive.Port = []byte{127, 0, 0, 9}, 9
	case 2:
		alive.Vsn = []byte{9, 9, 9, 9, 9, 9}
	}
	g.packet(message(mlAlive, alive))
}

// inventMembers has members join under ever new names.
func inventMembers(s *stand) error {
	g := s.gossiper(s.receiver)
	for i := range testkit.Setting(s.t, "AGENTCTL_ATTACK_MEMBERS", 30_000, 200_000) {
		name := fmt.Sprintf("%s-%d", strings.Repeat("n", 100), i)
		g.packet(message(mlAlive, mlAliveBody{Incarnation: 1, Node: name, Addr: []byte{127, 0, 0, 9}, Port: 9, Vsn: []byte{1, 5, 5, 2, 5, 4}}))
		g.serf(message(serfJoin, serfIntent{LTime: 50, Node: name + "-of-nobody"}))
		if i%50 == 49 {
			testkit.Pause(s.ctx, 5*time.Millisecond)
		}
	}
	return s.bothAlive()
}

// intents says that a node leaves, joins, or is to be forgotten, at ever higher times.
func intents(g *gossiper, about *proc.Node, i int) {
	kind := []byte{serfLeave, serfJoin, serfLeave}[i%3]
	g.serf(message(kind, serfIntent{LTime: uint64(100 + i), Node: about.Name, Prune: i%3 == 2}))
}

// replayPackets makes the nodes gossip to a member that is none, and sends all that comes
// from each of them to both, again and again.
func replayPackets(s *stand) error {
	ghost, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		return err
	}
	defer ghost.Close()
	host, port := split(ghost.LocalAddr().String())
	const most = 200
	var recorded [][]byte
	for i, n := range s.nodes() {
		g := s.gossiper(n)
		for try := range 100 { // it is found dead meanwhile
			g.packet(message(mlAlive, mlAliveBody{Incarnation: uint32(1000*i + try), Node: fmt.Sprint("ghost-", i), Addr: host, Port: port, Vsn: []byte{1, 5, 5, 2, 5, 4}}))
			ghost.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			for buf := make([]byte, 1<<16); ; {
				size, err := ghost.Read(buf)
				if err != nil {
					break
				}
				recorded = append(recorded, slices.Clone(buf[:size]))
			}
			if len(recorded) > most*(i+1) {
				break
			}
		}
	}
	if len(recorded) == 0 {
		return fmt.Errorf("nothing was recorded")
	}
	if err := s.repeat(func(g *gossiper, i int) {
		g.conn.Write(recorded[i%len(recorded)]) // as it came, sealed where the cluster has a key
	}); err != nil {
		return err
	}
	return s.bothAlive()
}

// askForOthers sends questions whose answers and acknowledgements all nodes are to send to
// a third, over others too.
func askForOthers(s *stand) error {
	third, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		return err
	}
	defer third.Close()
	host, port := split(third.LocalAddr().String())
	const acknowledge = 1
	return s.repeat(func(g *gossiper, i int) {
		for _, name := range []string{"anything", "agentctl-peer", "_serf_ping", "_serf_conflict"} {
			g.serf(message(serfQuery, serfQuestion{LTime: uint64(100 + i), ID: uint32(i), Addr: host, Port: port, SourceNode: "ghost",
				Flags: acknowledge, RelayFactor: 255, Timeout: time.Hour, Name: name, Payload: []byte("publisher")}))
		}
	})
}

// oddEvents sends events that are empty, long, cut off, or of other types than they say.
func oddEvents(s *stand) error {
	odd := [][]byte{
		{serfUser}, {serfUser, 0xc0}, {serfUser, 0x80}, {serfUser, 0x90}, {serfUser, 0xdf, 0xff, 0xff, 0xff, 0xff},
		[]byte("\x03\x81\xa5LTime\xa1x"), []byte("\x03\x82\xa5LTime\x01\xa4Name\x05"), []byte("\x03\x82\xa5LTime\xff\xa4Name\xa1n"),
		[]byte("\x03\x82\xa4Name\xdb\xff\xff\xff\xff"), []byte("\x03\x81\xa7Payload\xc6\x7f\xff\xff\xff"), {99, 1, 2, 3}, {255}, {},
	}
	for _, e := range []serfEvent{
		{}, {CC: true}, {LTime: 0, Name: "zero"}, {LTime: 5, Name: strings.Repeat("n", 8<<10)}, {LTime: 6, Name: "\x00\r\n\x1b[31m\xff\xfe"},
		{LTime: 7, Name: "big", Payload: make([]byte, 48<<10)}, {LTime: 8, Name: honest, Payload: []byte("\xff\x00")}, {LTime: 9, Name: "user:counted,*"},
		{LTime: 1, Name: "agentctl-large", Payload: []byte("\xa7large\x01")}, {LTime: 1, Name: "agentctl-large", Payload: []byte("\xa7large\x02 of another version")},
	} {
		whole := message(serfUser, e)
		odd = append(odd, whole, whole[:len(whole)/2])
	}
	return s.repeat(func(g *gossiper, i int) { g.serf(odd[i%len(odd)]) })
}

// floodEvents sends more events than a gateway takes meanwhile.
func floodEvents(s *stand) error {
	return s.repeat(func(g *gossiper, i int) {
		for k := range 10 {
			g.serf(message(serfUser, serfEvent{LTime: uint64(1000 + i), Name: "flood", Payload: fmt.Append(nil, g.addr, i, k)}))
		}
	})
}
