package membership

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/scripts/testkit"
)

// A lost member that answers and cannot be joined is a warning until it is joined, answers
// no more, or is back by itself. So is who does not take this node back.
func TestRejoinerWarnings(t *testing.T) {
	const there = "the lost member b is there, and could not be joined: no such key"
	synctest.Test(t, func(t *testing.T) {
		n := newRejoinNode("a")
		status := serf.StatusAlive
		var answers, joins, mends error
		n.members = func() []serf.Member { return []serf.Member{member("b", "127.0.0.1:98", status)} }
		n.ping = func(string, net.Addr) (time.Duration, error) { return 0, answers }
		n.join = func([]string) (int, error) { return 0, joins }
		n.mend = func() error { return mends }
		after := func(what string, want ...string) {
			t.Helper()
			n.round(t.Context())
			testkit.Want(t, what, n.Warnings(), want)
		}
		after("all is well")
		status, joins = serf.StatusFailed, errors.New("no such key")
		after("it cannot be joined", there)
		answers = errors.New("no answer")
		after("it answers no more")
		answers = nil
		after("it answers again", there)
		joins = nil
		after("it is joined")
		joins = errors.New("no such key")
		after("it is lost again", there)
		status = serf.StatusAlive
		testkit.Want(t, "it is back by itself, and no round was since", n.Warnings(), nil)
		after("it is back by itself")
		mends = errors.New("c does not list it")
		after("others do not know of it", "this node is a member, and others do not know of it: c does not list it")
		mends = nil
		after("they do now")
	})
}
