package gossip

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/memberlist"
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

// seen is a delegate of serf's, and the full sync that it got last.
type seen struct {
	memberlist.Delegate
	raw []byte
}

func (s *seen) MergeRemoteState(raw []byte, isJoin bool) {
	s.raw = raw
	s.Delegate.MergeRemoteState(raw, isJoin)
}

// Of a full sync serf gets the events that it does not have, and comes to the same as if it
// had got all.
func TestSerfGetsTheUnknownEventsOfAFullSync(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	some := func(chance float64) (all []*recentEvents) {
		for ltime := range serf.LamportTime(40) {
			of := &recentEvents{LTime: ltime}
			for i := range 8 {
				if random.Float64() < chance {
					of.Events = append(of.Events, recentEvent{fmt.Sprint("e", i%2), []byte(fmt.Sprint(i / 2))})
				}
			}
			random.Shuffle(len(of.Events), func(i, j int) { of.Events[i], of.Events[j] = of.Events[j], of.Events[i] })
			all = append(all, of, nil)
		}
		return all
	}
	for range 20 {
		had, sync := some(0.7), some(random.Float64())
		for _, of := range had[2*36:] { // what it had at other times is new then
			if of != nil {
				of.Events = nil
			}
		}
		synctest.Test(t, func(t *testing.T) {
			run := func(ours bool) (events []string, remembered []*recentEvents) {
				channel := make(chan serf.Event, 4096)
				c := Config{Serf: bareConfig(memnet.New(memnet.Config{}), "a", "10.0.0.1:7946", channel)}
				c.Serf.EventBuffer = 32 // some slots are of later times, and some events too old
				told := 0
				c.Receive = func(serf.UserEvent, bool) { told++ }
				n := openBare(t, c)
				front := c.Serf.MemberlistConfig.Delegate.(*frontDelegate)
				s := &seen{Delegate: front.Delegate}
				front.Delegate, n.past.from, *n.recent.min = s, 0, 0
				for _, of := range had {
					for i := 0; of != nil && i < len(of.Events); i++ {
						handleUserEvent(n.Serf, &Message{LTime: of.LTime, Name: of.Events[i].Name, Payload: of.Events[i].Payload})
					}
				}
				raw, err := (&syncState{Events: sync, EventLTime: 40, LTime: 1, QueryLTime: 1}).encode()
				if err != nil {
					t.Fatal(err)
				}
				if ours {
					front.MergeRemoteState(raw, false)
					var got syncState
					if err := got.decode(s.raw); err != nil {
						t.Fatal(err)
					}
					all := 0
					for _, of := range sync {
						if of != nil {
							all += len(of.Events)
						}
					}
					for _, of := range got.Events {
						for i := 0; of != nil && i < len(of.Events); i++ {
							e := of.Events[i]
							if slot := had[2*of.LTime]; of.LTime >= 8 && slices.ContainsFunc(slot.Events, func(h recentEvent) bool { return h.Name == e.Name && string(h.Payload) == string(e.Payload) }) {
								t.Errorf("serf gets an event of %d that it has: %s %s", of.LTime, e.Name, e.Payload)
							}
						}
					}
					if told != all {
						t.Errorf("%d of %d events are received", told, all)
					}
				} else {
					n.delegate.MergeRemoteState(raw, false)
				}
				synctest.Wait()
				for len(channel) > 0 {
					if e, ok := (<-channel).(serf.UserEvent); ok {
						events = append(events, fmt.Sprintf("%d %s %s", e.LTime, e.Name, e.Payload))
					}
				}
				return events, n.remembered(t)
			}
			events, remembered := run(true)
			wantEvents, wantRemembered := run(false)
			if diff := cmp.Diff(wantEvents, events); diff != "" {
				t.Errorf("serf's channel has others (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(wantRemembered, remembered); diff != "" {
				t.Errorf("serf remembers others (-want +got):\n%s", diff)
			}
		})
	}
}
