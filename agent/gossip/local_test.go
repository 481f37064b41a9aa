package gossip

import (
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/memnet"
)

// What a node tells in a full sync is what serf would tell, also of members that have left,
// and its buffer is made once.
func TestAFullSyncIsToldAsSerfDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		c := Config{Serf: bareConfig(network, "a", "10.0.0.1:7946", nil), Unwanted: func(string, bool) bool { return true }}
		a := openBare(t, c)
		front := c.Serf.MemberlistConfig.Delegate.(*frontDelegate)
		same := func(when string) {
			t.Helper()
			var got, want syncState
			raw := front.LocalState(false)
			if err := got.decode(raw); err != nil {
				t.Fatal(err)
			}
			if err := want.decode(front.Delegate.LocalState(false)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s (-serf +ours):\n%s", when, diff)
			}
			if size := got.size(); cap(raw) != size || size > 2*len(raw)+1024 {
				t.Errorf("%s: %d bytes in a buffer of %d, which was made with %d", when, len(raw), cap(raw), size)
			}
		}
		same("at first")
		for i := range 5000 {
			payload := fmt.Appendf(nil, "%0*d", i%700, i)
			if i%9 == 0 {
				payload = nil
			}
			raw, err := (&Message{LTime: serf.LamportTime(1+i/10) << 30, Name: fmt.Sprint("kong", i%3), Payload: payload}).Encode()
			if err != nil {
				t.Fatal(err)
			}
			a.Give(raw)
		}
		same("with events")
		for i, name := range []string{"b", "c", "d"} {
			n := openBare(t, Config{Serf: bareConfig(network, name, fmt.Sprintf("10.0.0.%d:7946", 2+i), nil)})
			if _, err := n.Serf.Join([]string{"10.0.0.1:7946"}, false); err != nil {
				t.Fatal(err)
			}
			if i > 0 {
				if err := n.Serf.Leave(); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(10 * time.Second)
		var state syncState
		if err := state.decode(front.LocalState(false)); err != nil || len(state.LeftMembers) != 2 || len(state.StatusLTimes) != 4 {
			t.Errorf("of members it tells %v, left %q: %v", state.StatusLTimes, state.LeftMembers, err)
		}
		same("with members")
	})
}

// Another version of serf, that keeps its members in another way, is seen.
func TestOtherMembersAreSeen(t *testing.T) {
	for _, other := range []reflect.Type{
		reflect.TypeFor[serf.Member](), reflect.TypeFor[*serf.Member](), reflect.TypeFor[*string](),
		reflect.TypeFor[*struct{ Member serf.Member }](),
		reflect.TypeFor[*struct {
			Member      serf.Member
			statusLTime uint64
		}](),
	} {
		if isMemberState(other) {
			t.Errorf("%v is taken for serf's type", other)
		}
	}
}
