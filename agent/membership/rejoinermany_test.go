package membership

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/serf/serf"
)

// A name may stand for all members. Then a round looks at the members a few times, and not
// once for each address.
func TestANameThatStandsForAllMembers(t *testing.T) {
	n := newRejoinNode("self", "all")
	var members []serf.Member
	for i := range 500 {
		ip := fmt.Sprintf("10.0.%d.%d", i/256, i%256)
		n.dns["all"] = append(n.dns["all"], ip)
		members = append(members, member(ip, ip+":1", serf.StatusAlive))
	}
	looks := 0
	n.members = func() []serf.Member {
		looks++
		return members
	}
	n.join = func(addrs []string) (int, error) {
		n.joins = append(n.joins, addrs...)
		return 1, nil
	}
	n.round(t.Context())
	if looks > 3 || len(n.joins) > 0 {
		t.Errorf("%d looks at the members, joined %v", looks, n.joins)
	}
	members = members[:490]
	looks = 0
	n.round(t.Context())
	if looks > 3+2*rejoinDials || len(n.joins) != rejoinDials {
		t.Errorf("%d looks at the members, joined %v", looks, n.joins)
	}
}

// Of many lost members that are there again, a round joins one: it tells of the others.
func TestOneLostMemberIsEnough(t *testing.T) {
	n := newRejoinNode("self")
	var members []serf.Member
	for i := range 100 {
		members = append(members, member(fmt.Sprint("lost", i), fmt.Sprintf("10.0.0.%d:1", i), serf.StatusFailed))
	}
	n.members = func() []serf.Member { return members }
	n.ping = func(string, net.Addr) (time.Duration, error) { return 0, nil }
	n.join = func(addrs []string) (int, error) {
		n.joins = append(n.joins, addrs...)
		return 1, nil
	}
	n.round(t.Context())
	if len(n.joins) != 1 {
		t.Errorf("joined %v", n.joins)
	}
}
