package gossip

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/memnet"
)

// received keeps what a Receive was told.
type received struct {
	mu     sync.Mutex
	events []string
	synced map[string]bool
}

func (r *received) receive(e serf.UserEvent, synced bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.events, e.Name) {
		r.events = append(r.events, e.Name)
	}
	if r.synced == nil {
		r.synced = map[string]bool{}
	}
	r.synced[e.Name] = r.synced[e.Name] || synced
}

// names are the events that were told, sorted.
func (r *received) names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(slices.Values(r.events))
}

// passed are the user events that serf has passed on, sorted.
func passed(events chan serf.Event) (names []string) {
	for len(events) > 0 {
		if u, ok := (<-events).(serf.UserEvent); ok {
			names = append(names, u.Name)
		}
	}
	slices.Sort(names)
	return names
}

// rig is a node, what it received, and what serf passed on.
type rig struct {
	*Node
	received
	events chan serf.Event
}

func (r *rig) open(t *testing.T, network *memnet.Network, name, addr string, set func(*Config)) *rig {
	t.Helper()
	r.events = make(chan serf.Event, 1024)
	c := Config{Serf: bareConfig(network, name, addr, r.events), Receive: r.receive}
	set(&c)
	r.Node = openBare(t, c)
	return r
}

func publish(t *testing.T, n *Node, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := n.UserEvent(name, []byte("p"), false); err != nil {
			t.Fatal(err)
		}
	}
}

// A node sees what comes by packets and by full syncs before serf does, also what
// serf drops as too old, and serf gets it all.
func TestEventsAreReceivedBeforeSerfJudgesThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		a := new(rig).open(t, network, "a", "10.0.0.1:7946", func(*Config) {})
		b := openBare(t, Config{Serf: bareConfig(network, "b", "10.0.0.2:7946", nil)})
		publish(t, b, "before")
		if _, err := b.Join([]string{"10.0.0.1:7946"}, false); err != nil {
			t.Fatal(err)
		}
		publish(t, b, "after")
		time.Sleep(10 * time.Second)
		old := message(t, 1, "old")
		a.Inject(message(t, 5000, "injected")) // which sets the clock
		to := b.Memberlist().Members()[0]
		if to.Name == "b" {
			to = b.Memberlist().Members()[1]
		}
		if err := b.Memberlist().SendBestEffort(to, old); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		// What was injected comes back from the other node.
		if diff := cmp.Diff([]string{"after", "before", "injected", "old"}, a.names()); diff != "" {
			t.Errorf("received (-want +got):\n%s", diff)
		}
		if a.synced["old"] || !a.synced["before"] {
			t.Errorf("came by a full sync: %v", a.synced)
		}
		if diff := cmp.Diff([]string{"after", "before", "injected"}, passed(a.events)); diff != "" {
			t.Errorf("serf passed on (-want +got):\n%s", diff)
		}
	})
}

// What is from before a node's time, for those that receive events, and for scripts and
// streams, which get what serf passes on.
func TestEventsFromBefore(t *testing.T) {
	const clock = "event-clock: 3\n"
	for _, tt := range []struct {
		name      string
		snapshot  string
		all       bool // a node that comes back with a journal
		replay    bool
		joined    bool // the other node joins this one before
		got, serf []string
	}{
		{name: "new node", got: []string{"new"}, serf: []string{"new"}},
		{name: "new node with replay", replay: true, got: []string{"1", "2", "3", "4", "5", "new"}, serf: []string{"1", "2", "3", "4", "5", "new"}},
		{name: "with a journal", all: true, got: []string{"1", "2", "3", "4", "5", "new"}, serf: []string{"new"}},
		{name: "with a snapshot and replay", snapshot: clock, replay: true, got: []string{"4", "5", "new"}, serf: []string{"4", "5", "new"}},
		{name: "with a snapshot", snapshot: clock, got: []string{"new"}, serf: []string{"new"}},
		{name: "with a journal and a snapshot", snapshot: clock, all: true, replay: true, got: []string{"1", "2", "3", "4", "5", "new"}, serf: []string{"4", "5", "new"}},
		{name: "with a snapshot of a node that left", snapshot: clock + "leave\n", all: true, got: []string{"1", "2", "3", "4", "5", "new"}, serf: []string{"new"}},
		// It is joined by another part of the cluster, as after a cut.
		{name: "node that was joined", joined: true, got: []string{"1", "2", "3", "4", "5", "new", "part"}, serf: []string{"1", "2", "3", "4", "5", "new"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := memnet.New(memnet.Config{})
				path := filepath.Join(t.TempDir(), "snapshot")
				if tt.snapshot != "" {
					if err := os.WriteFile(path, []byte(tt.snapshot), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				b := openBare(t, Config{Serf: bareConfig(network, "b", "10.0.0.2:7946", nil)})
				publish(t, b, "1", "2", "3", "4", "5")
				d := openBare(t, Config{Serf: bareConfig(network, "d", "10.0.0.4:7946", nil)})
				if _, err := d.Join([]string{"10.0.0.2:7946"}, false); err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Second) // until nobody gossips these any more
				a := new(rig).open(t, network, "a", "10.0.0.1:7946", func(c *Config) {
					c.All = tt.all
					if tt.snapshot != "" {
						c.Serf.SnapshotPath = path
					}
				})
				if blank := tt.snapshot == "" || tt.snapshot != clock; a.Blank() != blank {
					t.Errorf("before it has met anybody, blank: %v", a.Blank())
				}
				addr := "10.0.0.2:7946"
				if tt.joined {
					if _, err := b.Join([]string{"10.0.0.1:7946"}, false); err != nil {
						t.Fatal(err)
					}
					synctest.Wait() // for the other side
					c := openBare(t, Config{Serf: bareConfig(network, "c", "10.0.0.3:7946", nil)})
					c.Witness(3)
					publish(t, c, "part")
					c.Witness(100)
					addr = "10.0.0.3:7946"
				}
				if _, err := a.Join([]string{addr}, !tt.replay); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				publish(t, b, "new")
				time.Sleep(40 * time.Second) // several full syncs
				synctest.Wait()
				if diff := cmp.Diff(tt.got, a.names()); diff != "" {
					t.Errorf("received (-want +got):\n%s", diff)
				}
				if tt.joined {
					return // the clocks of both parts differ: serf may drop what is new
				}
				if diff := cmp.Diff(tt.serf, passed(a.events)); diff != "" {
					t.Errorf("serf passed on (-want +got):\n%s", diff)
				}
				if a.Blank() {
					t.Error("it is blank still")
				}
			})
		})
	}
}

// A full sync is read as serf writes it, and nonsense is passed on to serf.
func TestFullSyncIsSerfs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		b := openBare(t, Config{Serf: bareConfig(network, "b", "10.0.0.2:7946", nil)})
		for n := range 3 {
			for k := range 2 {
				raw, err := (&Message{LTime: serf.LamportTime(10 + n), Name: fmt.Sprint(n, k), Payload: []byte{byte(k), 0xff}}).Encode()
				if err != nil {
					t.Fatal(err)
				}
				b.Inject(raw)
			}
		}
		var s syncState
		if err := s.decode(b.delegate.LocalState(false)); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, of := range s.Events {
			if of != nil {
				for _, e := range of.Events {
					got[e.Name] = fmt.Sprintf("%d %x", of.LTime, e.Payload)
				}
			}
		}
		want := map[string]string{
			"0 0": "10 00ff", "0 1": "10 01ff", "1 0": "11 00ff", "1 1": "11 01ff", "2 0": "12 00ff", "2 1": "12 01ff",
		}
		if diff := cmp.Diff(want, got); diff != "" || s.EventLTime != serf.LamportTime(b.EventClock()) {
			t.Errorf("clock %d of %d (-want +got):\n%s", s.EventLTime, b.EventClock(), diff)
		}
	})
}

// No full sync of a member panics or blocks.
func FuzzFullSync(f *testing.F) {
	var raw []byte
	err := codec.NewEncoderBytes(&raw, &userMessageFormat).Encode(syncState{EventLTime: 7, Events: []*recentEvents{nil, {LTime: 3}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append([]byte{syncStateType}, raw...))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var told int
		h := &horizons{}
		for _, of := range []*horizon{&h.member, &h.event, &h.query} {
			of.clock = new(serf.LamportClock)
		}
		d := &frontDelegate{horizons: h, crowd: &crowd{}, oversized: func(string, error) {}, Delegate: nothing{}, receive: func(serf.UserEvent, bool) { told++ }, past: &past{}, denier: &denier{
			self: "self", tell: func([]byte) {}, presence: newPresence(nil), members: func() []serf.Member { return nil }, doubtful: map[string]bool{},
		}}
		d.MergeRemoteState(raw, true)
		d.NotifyMsg(raw)
		if told > len(raw) {
			t.Errorf("%d events in %d bytes", told, len(raw))
		}
	})
}

// nothing is a delegate that does nothing.
type nothing struct{}

func (nothing) NodeMeta(int) []byte             { return nil }
func (nothing) NotifyMsg([]byte)                {}
func (nothing) GetBroadcasts(int, int) [][]byte { return nil }
func (nothing) LocalState(bool) []byte          { return nil }
func (nothing) MergeRemoteState([]byte, bool)   {}

// slowStart is a transport at which memberlist stops for a second while it is made, its
// goroutines running.
type slowStart struct {
	memberlist.NodeAwareTransport
	asked int
}

func (t *slowStart) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	if t.asked++; t.asked == 2 { // the first time they do not run yet
		time.Sleep(time.Second)
	}
	return t.NodeAwareTransport.FinalAdvertiseAddr(ip, port)
}

// A node that is known to others gets messages while serf is still being made. Then
// serf has no key manager, which it uses to send a waiting event along with an answer.
func TestMessagesDuringTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		other := network.Add("10.0.0.2:7946")
		defer other.Shutdown()
		conf := bareConfig(network, "a", "10.0.0.1:7946", nil)
		conf.MemberlistConfig.Transport = &slowStart{NodeAwareTransport: conf.MemberlistConfig.Transport.(memberlist.NodeAwareTransport)}
		const ping, user = 0, 8 // memberlist's types
		packet := func(typ byte, body []byte) {
			t.Helper()
			if _, err := other.WriteTo(append([]byte{typ}, body...), "10.0.0.1:7946"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		go func() {
			packet(user, message(t, 40, "early"))
			packet(ping, []byte("\x82\xa5SeqNo\x01\xa4Node\xa1a"))
		}()
		got := make(chan string, 1)
		n := openBare(t, Config{Serf: conf, Receive: func(e serf.UserEvent, _ bool) { got <- e.Name }})
		if name := <-got; name != "early" {
			t.Errorf("it was told of %q", name)
		}
		<-other.PacketCh() // the answer
		if clock := n.EventClock(); clock != 41 {
			t.Errorf("the clock is at %d", clock)
		}
	})
}
