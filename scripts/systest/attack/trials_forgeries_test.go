//go:build linux

package attack

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"agentctl/agent/large"
	"agentctl/handler/varint"
	"agentctl/rpcclient"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
)

// forgeryTrials send what only an honest node could truthfully say.
var forgeryTrials = slices.Concat(
	forgeries(gossipPacket, false),
	forgeries(memberWithKey, true),
	[]trial{
		{way: linkStranger, name: "the sending ID of a link", aim: "events over links", bitBefore: true, waits: true, do: attempt(stealSendingID)},
		{way: gossipPacket, name: "a stock member named a peer", aim: "its events", bitBefore: true, waits: true, do: attempt(nameStockPeer)},
		{way: gossipPacket, name: "the name of a lone agent", aim: "its end", bitBefore: true, waits: true, do: attempt(takeLoneName)},
	},
)

func forgeries(by way, keyed bool) (all []trial) {
	for _, f := range []struct {
		name, aim string
		flag      string
		do        func(*stand) error
	}{
		{name: "references to nothing", aim: "p99", do: forgeReferences(15 * time.Millisecond)},
		{name: "references to nothing, without links", aim: "p99", flag: "-peer-links=false", do: forgeReferences(200 * time.Millisecond)},
		{name: "the last Lamport time in a packet", aim: "the clock", do: forgeTime(func(g *gossiper) error {
			g.serf(message(serfUser, serfEvent{LTime: lastTime, Name: "end"}))
			return nil
		})},
		{name: "the last Lamport time in a full sync", aim: "the clock", do: forgeTime(func(g *gossiper) error {
			return g.sync(serfSync{EventLTime: lastTime, Events: []*serfSyncEvents{{lastTime, []serfSyncEvent{{Name: "end"}}}}})
		})},
		{name: "a leave of the last Lamport time", aim: "events over links", do: forgeLeave},
	} {
		tr := trial{way: by, name: f.name, aim: f.aim, keyed: keyed, bitBefore: true, waits: true, do: attempt(f.do)}
		if f.flag != "" {
			tr.prepare = func(s *stand) { s.args = append(s.args, f.flag) }
		}
		all = append(all, tr)
	}
	return all
}

// lastTime is the highest Lamport time. Serf's clock begins anew behind it.
const lastTime = ^uint64(0)

// forgeReferences sends references to large events that nobody has. They must not hold up
// honest events: where nothing does, nine in ten of them take milliseconds.
func forgeReferences(every time.Duration) func(*stand) error {
	return func(s *stand) error {
		const held = 3 * time.Second
		g := s.gossiper(s.receiver)
		tick := time.NewTicker(every)
		defer tick.Stop()
		// The program of November held events up more and more, and needs half a minute.
		seconds := testkit.Setting(s.t, "AGENTCTL_ATTACK_SECONDS", 10, 60)
		for i := range seconds * int(time.Second/every) {
			ref := large.Refer(honest, fmt.Append(nil, "nothing ", i), "ghost")
			g.serf(message(serfUser, serfEvent{LTime: uint64(1000 + i), Name: large.EventName, Payload: ref.Encode()}))
			<-tick.C
		}
		if d := s.nineInTen(); d > held {
			s.bite("one event in ten took longer than %v", rounded(d))
		}
		return nil
	}
}

// nineInTen is how long all but a tenth of the honest events took at most, or have waited.
func (s *stand) nineInTen() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []time.Duration
	for payload, began := range s.sent {
		d, ok := s.took[payload]
		if !ok {
			d = time.Since(began)
		}
		all = append(all, d)
	}
	slices.Sort(all)
	return all[len(all)*9/10]
}

// forgeTime sends the last Lamport time to an agent, which then starts anew beside a stock
// member. The member has to get what the agent publishes, and the clock has to be as low
// as before.
func forgeTime(forge func(*gossiper) error) func(*stand) error {
	return func(s *stand) error {
		const events = 20
		data := "-data-dir=" + s.path("victim")
		victim, err := s.tryStart("victim", data, "-join="+s.publisher.Gossip)
		if err != nil {
			return err
		}
		member, err := s.startStock(victim)
		if err != nil {
			return err
		}
		before := s.eventTime(victim)
		g := s.gossiper(victim)
		if err := forge(g); err != nil {
			return err
		}
		if err := s.event(victim, "plenty", []byte("behind it")); err != nil { // so that both have come
			return err
		}
		if err := await("an event behind the forged one has come", func() bool { return victim.Ended() || s.eventTime(victim) != before }); err != nil {
			return err
		}
		if err := victim.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		if _, err := victim.Exit(); err != nil {
			return err
		}
		if victim, err = s.tryStart("victim", data, "-join="+member.Gossip); err != nil {
			return err
		}
		if err := await("the victim is back", func() bool { return s.alive(victim) >= 4 }); err != nil {
			return err
		}
		begun := member.got.Load()
		for i := range events {
			if err := s.event(victim, "plenty", fmt.Append(nil, i)); err != nil {
				return err
			}
		}
		if n := events - member.settled(begun+events) + begun; n > 0 {
			s.bite("%d of %d events lost at a stock member after a restart", n, events)
		}
		if clock := s.eventTime(victim); clock > far {
			s.bite("a clock of %d after a restart", clock)
		}
		return nil
	}
}

// stockMember is an agent of stock serf, and a client that counts its events named plenty.
type stockMember struct {
	*proc.Node
	got atomic.Int64
}

func (s *stand) startStock(join *proc.Node) (*stockMember, error) {
	args := []string{"-join=" + join.Gossip}
	if s.trial.keyed {
		args = append(args, "-encrypt="+proc.FirstKey)
	}
	n, err := proc.StartStock(s.dir, "stock", stock.V011, nil, args...)
	if err != nil {
		return nil, err
	}
	s.t.Cleanup(n.Kill)
	m := &stockMember{Node: n}
	c, err := rpcclient.Dial(s.t.Context(), rpcclient.Config{Addr: n.RPC, StreamBuffer: 1 << 16})
	if err != nil {
		return nil, err
	}
	s.t.Cleanup(func() { c.Close() })
	records, err := c.Stream(s.t.Context(), "user:plenty")
	if err != nil {
		return nil, err
	}
	go func() {
		for _, err := range records {
			if err != nil {
				return
			}
			m.got.Add(1)
		}
	}()
	// Stock serf subscribes a client just after it has answered it.
	if _, err := c.Members(s.t.Context()); err != nil {
		return nil, err
	}
	return m, await("the stock member is known", func() bool { return s.sees(join, n.Name) })
}

// settled waits until the member has so many events, or gets no more, and returns how many
// it has.
func (m *stockMember) settled(want int64) int64 {
	for last := int64(-1); ; {
		n := m.got.Load()
		if n >= want || n == last {
			return n
		}
		last = n
		testkit.PollFor(10*time.Second, func() bool { return m.got.Load() >= want })
	}
}

// nameStockPeer asks in a stock member's name who is a peer, as only agents of ours do.
// The member still has to get its events straight: gossip alone brings few of many.
func nameStockPeer(s *stand) error {
	const events = 1000
	member, err := s.startStock(s.publisher)
	if err != nil {
		return err
	}
	g := s.gossiper(s.publisher)
	host, port := split(member.Gossip)
	s.hold(func() { // an agent that has found out that it is none has to be told again
		for i := 0; s.ctx.Err() == nil; i++ {
			g.serf(message(serfQuery, serfQuestion{LTime: uint64(100 + i), ID: uint32(i), Addr: host, Port: port,
				SourceNode: member.Name, Timeout: time.Minute, Name: "agentctl-peer"}))
			testkit.Pause(s.ctx, 10*time.Millisecond)
		}
	})
	c, err := s.client(s.t.Context(), s.publisher)
	if err != nil {
		return err
	}
	defer c.Close()
	before := s.straight()
	for i := range events {
		if err := c.Event(s.t.Context(), "plenty", fmt.Append(nil, i), false); err != nil {
			return err
		}
	}
	member.settled(events)
	if n := s.straight() - before; n < events/2 {
		s.bite("of %d events %v go straight to a stock member, and %d come", events, n, member.got.Load())
	}
	return nil
}

// straight is how many messages the publisher has sent straight to members.
func (s *stand) straight() float64 {
	return s.metric(s.publisher, `agentctl_direct_messages_total{result="udp"}`) + s.metric(s.publisher, `agentctl_direct_messages_total{result="tcp"}`)
}

// takeLoneName says to an agent without a cluster that another node has its name.
func takeLoneName(s *stand) error {
	lone, err := s.tryStart("lone")
	if err != nil {
		return err
	}
	g := s.gossiper(lone)
	g.packet(message(mlAlive, mlAliveBody{Incarnation: 10, Node: lone.Name, Addr: []byte{127, 0, 0, 9}, Port: 7946, Vsn: []byte{1, 5, 5, 2, 5, 4}}))
	err = await("the vote on the name has ended", func() bool {
		return lone.Ended() || strings.Contains(lone.Printed(), "no member voted on the name conflict")
	})
	if lone.Ended() {
		s.bite("a lone agent has ended")
	}
	return err
}

// forgeLeave says, at the last Lamport time, that the receiver leaves. It is alive, and
// still has to get its events over its link.
func forgeLeave(s *stand) error {
	g := s.gossiper(s.publisher)
	return s.overLinks(func() error {
		g.serf(message(serfLeave, serfIntent{LTime: lastTime, Node: s.receiver.Name}))
		return nil
	})
}

// stealSendingID asks the publisher for the ID that it sends under. With that ID a stranger
// says to the receiver that it has sent far more, so that the receiver would take all that
// the publisher sends for copies.
func stealSendingID(s *stand) error {
	return s.overLinks(func() error {
		conn, err := openLink(s.publisher, "stranger")
		if err != nil {
			return err
		}
		defer conn.Close()
		const preamble, version, id = 8, 2, 16
		r := bufio.NewReader(conn)
		head := make([]byte, preamble)
		if _, err := io.ReadFull(r, head); err != nil {
			return err
		}
		hello := make([]byte, binary.BigEndian.Uint16(head[preamble-2:]))
		if _, err := io.ReadFull(r, hello); err != nil {
			return err
		}
		to, err := openLinkAs(s.receiver, "stranger", [16]byte(hello[version:version+id]))
		if err != nil {
			return err
		}
		s.t.Cleanup(func() { to.Close() })
		events := varint.Encoder{1} // the kind of stream
		events.Uint(1 << 40)        // the number of the first
		events.Text("")
		_, err = to.Write(frame(yamuxData, yamuxSYN, 1, events))
		return err
	})
}

// overLinks attacks once events come over the link, and finds out whether they still do.
// It counts those that gossip brought first.
func (s *stand) overLinks(attack func() error) error {
	const settling, counted = 20, 100
	linked := func() float64 { return s.metric(s.receiver, `agentctl_events_received_total{type="user",way="link"}`) }
	if err := await("events come over the link", func() bool { return linked() > 10 }); err != nil {
		return err
	}
	if err := attack(); err != nil {
		return err
	}
	begun := s.published()
	if err := reach("events after the attack", begun+settling, s.published); err != nil {
		return err
	}
	before, begun := linked(), s.published()
	if err := reach("further events", begun+counted, s.published); err != nil {
		return err
	}
	if n := linked() - before; n < counted/2 {
		s.bite("%v of %d events come over the link", n, counted)
	}
	return nil
}

// published is how many honest events were published.
func (s *stand) published() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sent)
}
