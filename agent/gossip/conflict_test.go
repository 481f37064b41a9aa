package gossip

import (
	"bytes"
	"log"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/memnet"
	"agentctl/scripts/testkit"
)

// claim is a packet that says that a node of this name lives elsewhere.
func claim(t *testing.T, name string) []byte {
	t.Helper()
	const aliveType = 4 // memberlist's aliveMsg
	buf := bytes.NewBuffer([]byte{aliveType})
	alive := struct {
		Incarnation uint32
		Node        string
		Addr        []byte
		Port        uint16
		Meta        []byte
		Vsn         []uint8
	}{1000, name, net.IPv4(10, 0, 0, 66).To4(), 7946, nil, []uint8{1, 5, 2, 2, 5, 4}}
	if err := codec.NewEncoder(buf, &codec.MsgpackHandle{}).Encode(&alive); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// A stranger claims the name of a node by packets. Serf's own node that is alone ends by
// the first of them; ours stays. If members know the node, they vote for it, once for all
// packets.
func TestClaimedName(t *testing.T) {
	for kinds, want := range map[string]struct {
		state serf.SerfState
		said  string
	}{
		"s":   {serf.SerfShutdown, "minority in name conflict resolution, quiting [0 / 0]"},
		"o":   {serf.SerfAlive, "no member voted on the name conflict, so this node stays"},
		"os":  {serf.SerfAlive, "majority in name conflict resolution [1 / 1]"},
		"oso": {serf.SerfAlive, "majority in name conflict resolution [2 / 2]"},
	} {
		t.Run(kinds, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				logged := new(testkit.LogBuffer)
				c := &clique{t: t, net: memnet.New(memnet.Config{}), logger: log.New(logged, "", 0)}
				t.Cleanup(func() { time.Sleep(time.Minute) })
				for i, kind := range kinds {
					c.add(kind)
					if i > 0 {
						c.join(i, 0)
					}
				}
				c.await("all to know all", func() bool { return c.all(serf.StatusAlive) })
				stranger := c.net.Add("10.0.0.66:7946")
				for range 20 {
					if _, err := stranger.WriteToAddress(claim(t, "n0"), memberlist.Address{Addr: c.addr(0)}); err != nil {
						t.Fatal(err)
					}
				}
				c.await("the end of the vote", func() bool { return logged.Count(want.said) > 0 })
				time.Sleep(10 * time.Second)
				if got := c.serfs[0].State(); got != want.state {
					t.Errorf("it is %v, want %v: %s", got, want.state, logged)
				}
				if n := logged.Count("Names must be unique"); kinds != "s" && n != 1 {
					t.Errorf("%d votes", n)
				}
				if err := stranger.Shutdown(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A node of ours that comes second is voted out, as in serf. With a majority against it
// the members' answers are read as serf writes them.
func TestLostVote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClique(t, "sso")
		logged := new(testkit.LogBuffer)
		c.logger = log.New(logged, "", 0)
		conf := bareConfig(c.net, "n0", "10.0.0.9:7946", make(chan serf.Event, 1024))
		conf.Logger = c.logger
		second := openBare(t, Config{Serf: conf})
		if _, err := second.Join([]string{c.addr(1)}, false); err != nil {
			t.Fatal(err)
		}
		c.await("the end of the second", func() bool { return second.State() == serf.SerfShutdown })
		if logged.Count("minority in name conflict resolution, quiting [0 / 2]") != 1 {
			t.Error(logged)
		}
		if !c.all(serf.StatusAlive) {
			t.Error("not all see all alive")
		}
	})
}
