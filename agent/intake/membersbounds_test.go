package intake

import (
	"fmt"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/serf/serf"

	"agentctl/scripts/testkit"
)

// A cluster that flaps costs events, not memory: what is more than the limit is told
// at once, and all of it in order.
func TestAFlappingClusterIsToldAtOnce(t *testing.T) {
	var changes []drawn
	for n := range 3*gatherMost + 10 {
		typ := []serf.EventType{serf.EventMemberFailed, serf.EventMemberJoin}[n/4%2]
		changes = append(changes, drawn{0, change{typ, serf.Member{
			Name: fmt.Sprint("m", n%4), Addr: net.IPv4(10, 0, 0, 1), Tags: map[string]string{"change": fmt.Sprint(n)},
		}}})
	}
	var want []told
	for _, c := range changes {
		want = append(want, told{0, c.typ.String(), string(linesOf(serf.MemberEvent{Members: []serf.Member{c.member}}))})
	}
	got, _, _ := tellAll(t, changes, 10*time.Second)
	if diff := cmp.Diff(perMember(want), perMember(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	now := slices.DeleteFunc(slices.Clone(got), func(e told) bool { return e.at > 0 })
	if lines := countLines(now); lines != 3*(gatherMost+1) {
		t.Errorf("%d changes are told at once, want all but the %d that may wait", lines, len(changes)-3*(gatherMost+1))
	}
}

// What is gathered can be had in the journal before its time, as at an end that waits
// for nothing. It is not told again.
func TestReleaseOfWhatIsGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, _ := testkit.NewLog()
		j := new(stubJournal)
		in := New(Config{Journal: j, Fail: noFailure(t), Logger: logger})
		end := runIntake(t, in)
		in.ch <- serf.MemberEvent{Type: serf.EventMemberFailed, Members: []serf.Member{{Name: "a"}, {Name: "b"}}}
		synctest.Wait()
		if j.len() != 0 {
			t.Fatal("nothing is gathered")
		}
		in.Release(t.Context())
		if err := in.Settle(t.Context()); err != nil || j.len() != 1 {
			t.Errorf("%d events in the journal, %v", j.len(), err)
		}
		time.Sleep(2 * gatherPeriod)
		if err := end(); err != nil || j.len() != 1 {
			t.Errorf("%d events at the end, %v", j.len(), err)
		}
		in.Release(t.Context()) // does not wait
	})
}
