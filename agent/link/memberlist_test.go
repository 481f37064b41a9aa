package link

import (
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"agentctl/scripts/testkit"

	"github.com/hashicorp/memberlist"
)

// gossiper is a memberlist, and what gossip brought it.
type gossiper struct {
	*memberlist.Memberlist
	*delegate
	log *testkit.LogBuffer
}

// delegate keeps what gossip brings.
type delegate struct {
	name string
	mu   sync.Mutex
	got  map[string]bool
}

func (d *delegate) NodeMeta(int) []byte               { return []byte("meta") }
func (d *delegate) GetBroadcasts(_, _ int) [][]byte   { return nil }
func (d *delegate) LocalState(bool) []byte            { return []byte("state of " + d.name) }
func (d *delegate) MergeRemoteState(b []byte, _ bool) { d.NotifyMsg(b) }

func (d *delegate) NotifyMsg(b []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.got[string(b)] = true
}

func (d *delegate) has(msg string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.got[msg]
}

// startGossip runs memberlist over a transport.
func startGossip(t *testing.T, name string, tr memberlist.Transport, key []byte) *gossiper {
	t.Helper()
	g := &gossiper{delegate: &delegate{name: name, got: make(map[string]bool)}, log: new(testkit.LogBuffer)}
	conf := memberlist.DefaultLocalConfig()
	conf.Name, conf.Transport, conf.SecretKey, conf.Delegate = name, tr, key, g.delegate
	conf.PushPullInterval = time.Second
	conf.TCPTimeout, conf.ProbeTimeout, conf.ProbeInterval = patience, patience, 2*patience // a busy machine is no error
	conf.Logger = log.New(g.log, "", 0)
	var err error
	if g.Memberlist, err = memberlist.Create(conf); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Shutdown(); err != nil {
			t.Errorf("Shutdown of %s: %v", name, err)
		}
	})
	return g
}

// Membership, gossip by UDP and TCP and full syncs work as ever between two
// wrapped transports and a stock one, with and without encryption, while links
// carry messages on the same port; and the stock one gets no more than one line
// in its log out of it.
func TestGossipBesideLinks(t *testing.T) {
	for _, key := range [][]byte{nil, testKey("one")} {
		t.Run(fmt.Sprintf("encrypted=%v", key != nil), func(t *testing.T) {
			change := func(c *Config) {
				if key != nil {
					withKeys("one")(c)
				}
			}
			var all []*gossiper
			var nodes []*node
			for _, name := range []string{"a", "b", "stock"} {
				if name == "stock" {
					inner, addr := loopback(t)
					all = append(all, startGossip(t, name, inner, key))
					nodes = append(nodes, &node{peer: Peer{Name: name, Addr: addr}})
					continue
				}
				n := netNode(t, name, change)
				nodes = append(nodes, n)
				all = append(all, startGossip(t, name, n.Transport(), key))
			}
			a, b, stock := nodes[0], nodes[1], nodes[2]
			for _, g := range all[1:] {
				if _, err := g.Join([]string{a.peer.Addr}); err != nil {
					t.Fatal(err)
				}
			}
			for i := range 2000 {
				a.send(b.peer, fmt.Sprint("link ", i))
			}
			_, err := a.Request(t.Context(), stock.peer, KindBody, nil)
			if _, ok := errors.AsType[*notPeerError](err); !ok {
				t.Errorf("asking a stock agent: %v", err)
			}
			waitFor(t, "everyone to know everyone, by gossip and by full sync", func() bool {
				for _, g := range all {
					if g.NumMembers() != 3 || !g.has("state of a") && g != all[0] {
						return false
					}
				}
				return true
			})
			for _, from := range all {
				for _, to := range from.Members() {
					if to.Name == from.name {
						continue
					}
					from.SendBestEffort(to, []byte("udp from "+from.name))
					if err := from.SendReliable(to, []byte("tcp from "+from.name)); err != nil {
						t.Error(err)
					}
				}
			}
			waitFor(t, "what was sent by memberlist", func() bool {
				for _, to := range all {
					for _, from := range all {
						name := from.name
						if from != to && !(to.has("udp from "+name) && to.has("tcp from "+name)) {
							return false
						}
					}
				}
				return true
			})
			waitFor(t, "what was sent over the link", func() bool { return len(b.received()) == 2000 })
			for i, m := range b.received() {
				if m != fmt.Sprint("link ", i) {
					t.Fatalf("message %d is %q", i, m)
				}
			}
			for i, g := range all {
				if n := strings.Count(g.log.String(), "[ERR]"); n != 0 && i < 2 || n > 1 {
					t.Errorf("%s logged %d errors:\n%s", g.name, n, g.log)
				}
			}
		})
	}
}

// A stock agent is asked once, and then left alone: what is sent to it is
// dropped, counted and reported, until the time to try again, or until it is
// forgotten since it came back as something else.
func TestStockPeerIsLeftAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a := memNode(t, mem, 1, nil)
		inner := mem.add(2)
		stock := startGossip(t, "stock", inner, nil)
		to := Peer{Name: "stock", Addr: inner.Addr().String()}
		for i := range 120 {
			a.send(to, fmt.Sprint(i))
			time.Sleep(time.Second)
		}
		if n := a.metric("agentctl_link_dials_total", "not_a_peer"); n != 1 || mem.dialed() != 1 {
			t.Errorf("a stock agent was dialed %v times in two minutes", n)
		}
		if n := strings.Count(stock.log.String(), "[ERR]"); n != 1 {
			t.Errorf("the stock agent logged %d lines:\n%s", n, stock.log)
		}
		if n := a.behindBy("stock"); n != 120 || !a.saidNoPeer("stock") {
			t.Errorf("Behind was told of %d messages, not of 120, or not why", n)
		}
		if n := a.metric("agentctl_link_dropped_total", dropNotPeer); n != 120 {
			t.Errorf("%v messages are counted", n)
		}
		if _, err := a.Request(t.Context(), to, KindBody, nil); err == nil || mem.dialed() != 1 {
			t.Errorf("a request to a stock agent: %v", err)
		}
		time.Sleep(4 * time.Minute)
		a.send(to, "again")
		time.Sleep(time.Second)
		if n := mem.dialed(); n != 2 {
			t.Errorf("it was dialed %d times after the time to try again", n)
		}
		if err := stock.Shutdown(); err != nil {
			t.Error(err)
		}
		b := startNode(t, "stock", to.Addr, mem.add(2), nil)
		a.Forget("stock")
		a.send(to, "now it is one of ours")
		time.Sleep(time.Second)
		wantMessages(t, b.received(), "now it is one of ours")
	})
}

// The magic byte begins nothing that memberlist sends or takes. This fails if a
// later version comes to use it as a message type or label.
func TestMemberlistDoesNotUseTheMagicByte(t *testing.T) {
	packet, err := memberlist.AddLabelHeaderToPacket([]byte("x"), "label")
	if err != nil {
		t.Fatal(err)
	}
	if packet[0] == magic {
		t.Error("labels begin with the magic byte")
	}
	mem := newMemNet()
	inner := mem.add(1)
	stock := startGossip(t, "stock", inner, nil)
	other := mem.add(2)
	conn, err := other.DialTimeout(inner.Addr().String(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write([]byte{magic})
	other.WriteTo([]byte{magic, 0, 0}, inner.Addr().String())
	waitFor(t, "memberlist to say that it does not know such a message", func() bool {
		return strings.Contains(stock.log.String(), "Received invalid msgType (167)") &&
			strings.Contains(stock.log.String(), "msg type (167) not supported")
	})
	conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("memberlist keeps a stream with the magic byte: %v", err)
	}
}
