package broadcast

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"
)

// Changes of members are seen to as they come, of each member once: who is gone is
// forgotten, and who has joined since is met, in that order.
func TestChangesOfMembers(t *testing.T) {
	const join, failed, update = serf.EventMemberJoin, serf.EventMemberFailed, serf.EventMemberUpdate
	for _, tt := range []struct {
		events []serf.EventType
		forgot bool
		met    bool
	}{
		{[]serf.EventType{join}, false, true},
		{[]serf.EventType{update}, false, false},
		{[]serf.EventType{failed}, true, false},
		{[]serf.EventType{failed, join}, true, true},
		{[]serf.EventType{failed, join, update}, true, true},
		{[]serf.EventType{join, failed}, true, false},
		{[]serf.EventType{join, serf.EventMemberLeave, join, serf.EventMemberReap}, true, false},
	} {
		t.Run(fmt.Sprint(tt.events), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				members := []serf.Member{memberAt("ours", serf.StatusAlive, 1), memberAt("other", serf.StatusAlive, 2)}
				s := routesOf(&members)
				s.plan()
				var met []string
				b := New(Config{Peers: s.peers, Met: func(joined []serf.Member) {
					if s.peers.Knows("ours") == tt.forgot {
						t.Error("it is met before it is forgotten")
					}
					for _, m := range joined {
						met = append(met, m.Name)
					}
				}})
				s.peers.Found("ours")
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- b.Run(ctx) }()
				for _, typ := range tt.events {
					b.Changed(serf.MemberEvent{Type: typ, Members: members[:1]})
				}
				time.Sleep(changesWait)
				synctest.Wait()
				if s.peers.Knows("ours") == tt.forgot || slices.Contains(met, "ours") != tt.met || len(met) > 1 {
					t.Errorf("known is %q, met %q", s.peers.Known(), met)
				}
				s.peers.Found("ours")
				b.Changed(serf.MemberEvent{Type: update, Members: members[:1]})
				time.Sleep(changesWait)
				synctest.Wait()
				if !s.peers.Knows("ours") || len(met) > 1 {
					t.Error("a change is seen to twice")
				}
				b.Changed(serf.MemberEvent{Type: failed, Members: members[:1]})
				time.Sleep(changesWait)
				synctest.Wait()
				if s.peers.Knows("ours") {
					t.Error("a later change is not seen to")
				}
				cancel()
				<-done
			})
		})
	}
}
