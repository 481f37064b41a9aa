package broadcast

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/link"
	"agentctl/agent/peers"
	"agentctl/scripts/testkit"
)

// routesOf are routes with a view of members that the test gives, in which
// those whose name begins with "ours" are peers.
func routesOf(members *[]serf.Member) *routes {
	logger, _ := testkit.NewLog()
	list := func() []serf.Member {
		all := slices.Clone(*members)
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] }) // serf's has no order
		return all
	}
	s := &routes{
		members: list, self: "self", links: true, direct: true,
		peers: peers.New(peers.Config{Self: "self", Members: list, Links: true, Logger: logger}), seed: maphash.MakeSeed(),
	}
	for _, m := range *members {
		if strings.HasPrefix(m.Name, "ours") {
			s.peers.Found(m.Name)
		}
	}
	return s
}

func memberAt(name string, status serf.MemberStatus, port int) serf.Member {
	return serf.Member{Name: name, Addr: net.ParseIP("10.0.0.1"), Port: uint16(port), Status: status, ProtocolMax: 5}
}

// targets are the names that messages go to over links, and straight.
func (s *routes) targets() (linked, straight []string) {
	links, others := s.plan()
	for _, p := range links {
		linked = append(linked, p.Name)
	}
	for _, o := range others {
		straight = append(straight, o.Name)
	}
	slices.Sort(linked)
	slices.Sort(straight)
	return linked, straight
}

func TestPlanOfWhereEventsGo(t *testing.T) {
	t.Parallel()
	members := []serf.Member{
		memberAt("self", serf.StatusAlive, 1),
		memberAt("ours", serf.StatusAlive, 2),
		memberAt("stock", serf.StatusAlive, 3),
		memberAt("ours-left", serf.StatusLeft, 4),
		memberAt("ours-failed", serf.StatusFailed, 5),
		memberAt("stock-leaving", serf.StatusLeaving, 6),
		{Name: "ours-ipv6", Addr: net.ParseIP("::1"), Port: 7, Status: serf.StatusAlive},
	}
	for name, tt := range map[string]struct {
		change           func(*routes)
		linked, straight []string
	}{
		"all":              {func(*routes) {}, []string{"ours", "ours-ipv6"}, []string{"stock"}},
		"no links":         {func(s *routes) { s.links = false }, nil, []string{"ours", "ours-ipv6", "stock"}},
		"nothing straight": {func(s *routes) { s.direct = false }, []string{"ours", "ours-ipv6"}, nil},
		"neither":          {func(s *routes) { s.links, s.direct = false, false }, nil, nil},
	} {
		s := routesOf(&members)
		tt.change(s)
		if linked, straight := s.targets(); !slices.Equal(linked, tt.linked) || !slices.Equal(straight, tt.straight) {
			t.Errorf("%s: over links to %q, straight to %q; want %q and %q", name, linked, straight, tt.linked, tt.straight)
		}
	}
	s := routesOf(&members)
	linked, others := s.plan()
	slices.SortFunc(linked, func(a, b link.Peer) int { return strings.Compare(a.Name, b.Name) })
	if linked[0].Addr != "10.0.0.1:2" || linked[1].Addr != "[::1]:7" {
		t.Errorf("linked at %s and %s", linked[0].Addr, linked[1].Addr)
	}
	want := memberlist.Node{Name: "stock", Addr: net.ParseIP("10.0.0.1"), Port: 3, PMax: 5} // PMax: with a checksum
	if got := *others[0]; got.Name != want.Name || !got.Addr.Equal(want.Addr) || got.Port != want.Port || got.PMax != want.PMax {
		t.Errorf("sent straight to %+v, want %+v", got, want)
	}
}

// In a very large cluster each node sends to some only: always the same ones,
// else it would open links to all, and not to those that others send to.
func TestPlanOfVeryManyMembersIsBoundedAndSteady(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ ours, stock, linked, straight int }{
		{1000, 0, MaxLinked, maxDirect},
		{0, 1000, 0, maxDirect},
		{500, 500, MaxLinked, maxDirect},
		{250, 0, MaxLinked, 50},
		{150, 100, 150, 100},
	} {
		var members []serf.Member
		for i := range tt.ours {
			members = append(members, memberAt(fmt.Sprint("ours-", i), serf.StatusAlive, 1+i))
		}
		for i := range tt.stock {
			members = append(members, memberAt(fmt.Sprint("stock-", i), serf.StatusAlive, 2000+i))
		}
		s := routesOf(&members)
		linked, straight := s.targets()
		if len(linked) != tt.linked || len(straight) != tt.straight {
			t.Errorf("of %d and %d members: %d over links, %d straight; want %d and %d",
				tt.ours, tt.stock, len(linked), len(straight), tt.linked, tt.straight)
		}
		for range 3 {
			l, o := s.targets()
			if !slices.Equal(l, linked) || !slices.Equal(o, straight) {
				t.Fatalf("of %d and %d members: others than before", tt.ours, tt.stock)
			}
		}
		if other := routesOf(&members); tt.ours+tt.stock == 1000 {
			if l, o := other.targets(); slices.Equal(l, linked) && slices.Equal(o, straight) {
				t.Errorf("of %d and %d members: another node sends to the same ones", tt.ours, tt.stock)
			}
		}
	}
}

// Changes of the members are seen soon, though not looked for with each event.
func TestRoutesAreRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		members := []serf.Member{memberAt("ours-1", serf.StatusAlive, 1)}
		s := routesOf(&members)
		looked := 0
		view := s.members
		s.members = func() []serf.Member { looked++; return view() }
		count := func() (int, int) {
			linked, others := s.at(time.Now())
			return len(linked), len(others)
		}
		if linked, others := count(); linked != 1 || others != 0 {
			t.Fatalf("%d over links, %d straight", linked, others)
		}
		members = append(members, memberAt("stock", serf.StatusAlive, 2), memberAt("ours-2", serf.StatusAlive, 3))
		s.peers.Look([]string{"ours-2"}) // else its name is a stranger's so soon after the last list
		s.peers.Found("ours-2")
		time.Sleep(routesAge - time.Millisecond)
		for range 1000 {
			if linked, others := count(); linked != 1 || others != 0 {
				t.Fatalf("before its time: %d over links, %d straight", linked, others)
			}
		}
		time.Sleep(time.Millisecond)
		if linked, others := count(); linked != 2 || others != 1 || looked != 2 {
			t.Errorf("%d over links, %d straight, looked %d times", linked, others, looked)
		}
		s.peers.Forget("ours-1")
		time.Sleep(routesAge)
		if linked, others := count(); linked != 1 || others != 2 {
			t.Errorf("with one that is no peer any more: %d over links, %d straight", linked, others)
		}
	})
}

// Nothing is kept of members that are gone.
func TestMembersThatAreGoneAreForgotten(t *testing.T) {
	t.Parallel()
	for typ, forgotten := range map[serf.EventType]bool{
		serf.EventMemberJoin: false, serf.EventMemberUpdate: false,
		serf.EventMemberLeave: true, serf.EventMemberFailed: true, serf.EventMemberReap: true,
	} {
		members := []serf.Member{memberAt("ours", serf.StatusAlive, 1), memberAt("ours-too", serf.StatusAlive, 2), memberAt("stock", serf.StatusAlive, 3)}
		s := routesOf(&members)
		s.plan()
		b := New(Config{Peers: s.peers})
		b.Changed(serf.MemberEvent{Type: typ, Members: members[:2]})
		b.seeTo(b.changes.take())
		if s.peers.Knows("ours") == forgotten || s.peers.Knows("ours-too") == forgotten {
			t.Errorf("after %v: of two members it knows %q", typ, s.peers.Known())
		}
	}
}
