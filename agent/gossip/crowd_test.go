package gossip

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/memnet"
)

// Whoever can gossip can invent members. A node knows so many at most. Members that it
// knows can still change, fail and come back.
func TestInventedMembersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Minute) }) // probes that are under way
		const most, invented = 50, 500
		network := memnet.New(memnet.Config{})
		n := openBare(t, Config{Serf: bareConfig(network, "one", "10.0.0.1:7946", nil), mostMembers: most})
		honest := openBare(t, Config{Serf: bareConfig(network, "two", "10.0.0.2:7946", nil)})
		if _, err := honest.Join([]string{"10.0.0.1:7946"}, false); err != nil {
			t.Fatal(err)
		}
		stranger := network.Add("10.0.0.9:1")
		for i := range invented {
			raw := bytes.NewBuffer([]byte{4}) // memberlist's alive message
			err := codec.NewEncoder(raw, &codec.MsgpackHandle{}).Encode(struct {
				Incarnation uint32
				Node        string
				Addr        []byte
				Port        uint16
				Vsn         []byte
			}{1, fmt.Sprint("ghost-", i), []byte{10, 0, 0, 8}, 1, []byte{1, 5, 5, 2, 5, 4}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stranger.WriteToAddress(raw.Bytes(), memberlist.Address{Addr: "10.0.0.1:7946"}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if got := len(n.Members()); got != most+1 { // and this node
			t.Errorf("%d members were taken in of %d, want %d", got, invented, most+1)
		}
		status := func() (s serf.MemberStatus, tag string) {
			for _, m := range n.Members() {
				if m.Name == "two" {
					s, tag = m.Status, m.Tags["t"]
				}
			}
			return s, tag
		}
		if err := honest.SetTags(map[string]string{"t": "new"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if s, tag := status(); s != serf.StatusAlive || tag != "new" {
			t.Errorf("an honest member is %v with the tag %q", s, tag)
		}
		if err := n.SetTags(map[string]string{"t": "own"}); err != nil || n.LocalMember().Tags["t"] != "own" {
			t.Errorf("own tags are %v, %v", n.LocalMember().Tags, err)
		}
	})
}

// counting takes what serf is told.
type counting struct {
	nothing
	messages, states int
	last             syncState
}

func (c *counting) NotifyMsg([]byte) { c.messages++ }

func (c *counting) MergeRemoteState(raw []byte, _ bool) {
	c.states++
	c.last = syncState{}
	if err := c.last.decode(raw); err != nil {
		panic(err)
	}
}

// Serf keeps for minutes each word that somebody joins or leaves whom it does not know. It
// gets so many of them at most, and each word about a member.
func TestWordsAboutStrangersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		n := openBare(t, Config{Serf: bareConfig(network, "one", "10.0.0.1:7946", nil)})
		told := &counting{}
		front := &frontDelegate{Delegate: told, past: n.past, denier: n.denier, horizons: n.horizons, crowd: n.crowd, oversized: func(string, error) {}}
		word := func(typ byte, name string) {
			front.NotifyMsg(encoded(t, typ, struct {
				LTime uint64
				Node  string
			}{5, name}))
		}
		for i := range 2 * mostStrange {
			word([]byte{joinMessageType, leaveMessageType}[i%2], fmt.Sprint("ghost-", i))
		}
		if told.messages != mostStrange {
			t.Errorf("serf is told of %d strangers, want %d", told.messages, mostStrange)
		}
		word(leaveMessageType, "one")
		if told.messages != mostStrange+1 {
			t.Error("serf is not told of a member")
		}
		state := syncState{StatusLTimes: map[string]serf.LamportTime{"one": 3, "ghost": 4}, LeftMembers: []string{"one", "ghost", "without a time"}}
		raw, err := state.encode()
		if err != nil {
			t.Fatal(err)
		}
		front.MergeRemoteState(raw, false)
		if len(told.last.StatusLTimes) != 1 || told.last.StatusLTimes["one"] != 3 || len(told.last.LeftMembers) != 1 || told.last.LeftMembers[0] != "one" {
			t.Errorf("serf is told of %v", told.last)
		}
		time.Sleep(strangeInterval)
		front.MergeRemoteState(raw, false)
		if len(told.last.StatusLTimes) != 2 || len(told.last.LeftMembers) != 2 {
			t.Errorf("later serf is told of %v", told.last)
		}
	})
}
