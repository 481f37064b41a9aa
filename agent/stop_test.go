//go:build unix

package agent

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"agentctl/agent/config"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

func TestGracefulEndIsSeenAsLeft(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		a, b := start(t, func(o *config.Options) { o.DrainTimeout = testkit.Patience }), start(t, handlers("member-leave="+gw.URL))
		join(t, a, b)
		a.end(nil)
		if err := a.stopped(t); err != nil {
			t.Errorf("Run: %v", err)
		}
		testkit.WaitFor(t, "the other node to see it as left", func() bool { return b.sees(a) == "left" })
		testkit.WaitFor(t, "the leave at the gateway", func() bool {
			posts := gw.Of("member-leave")
			return len(posts) == 1 && strings.Contains(posts[0].Body, a.opts.NodeName)
		})
		for _, addr := range []string{a.GossipAddr(), a.RPCAddr()} {
			if _, err := memory.Network(t).Dial(t.Context(), "", addr); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("after the end somebody listens on %s: %v", addr, err)
			}
		}
	})
}

func TestEndWithoutLeavingIsSeenAsFailed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		a, b := start(t), start(t, handlers("member-failed="+gw.URL))
		join(t, a, b)
		a.end(ErrNoLeave)
		if err := a.stopped(t); err != ErrNoLeave {
			t.Errorf("Run: %v, want %v", err, ErrNoLeave)
		}
		testkit.WaitFor(t, "the failure to be seen", func() bool { return b.sees(a) == "failed" })
		testkit.WaitFor(t, "the failure at the gateway", func() bool { return len(gw.Of("member-failed")) == 1 })
		if err := b.ForceLeave(a.opts.NodeName, false); err != nil {
			t.Fatal(err)
		}
		testkit.WaitFor(t, "the node to be seen as left", func() bool { return b.sees(a) == "left" })
		if err := b.ForceLeave(a.opts.NodeName, true); err != nil {
			t.Fatal(err)
		}
		testkit.WaitFor(t, "the node to be forgotten", func() bool { return b.sees(a) == "" })
	})
}

// Of two nodes with one name the cluster keeps the one it knew first.
func TestNameConflictEndsRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b, c := start(t), start(t), start(t)
		join(t, a, b, c)
		double := start(t, func(o *config.Options) { o.NodeName = a.opts.NodeName })
		double.Join([]string{b.GossipAddr()}, false) // whether it says so or not
		err := double.stopped(t)
		if err == nil || !strings.Contains(err.Error(), "same name") || !strings.Contains(err.Error(), "-node") {
			t.Errorf("Run: %v", err)
		}
		if n := b.countMembers("alive"); n != 3 || a.serf.State().String() != "alive" {
			t.Errorf("%d members, the first is %v", n, a.serf.State())
		}
	})
}

func TestJoinThatFailsEndsRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := start(t, func(o *config.Options) { o.StartJoin = []string{memory.Addr()} })
		if err := a.stopped(t); err == nil || !strings.HasPrefix(err.Error(), "join: ") || !strings.Contains(err.Error(), a.opts.StartJoin[0]) {
			t.Errorf("Run: %v", err)
		}
		b := start(t, func(o *config.Options) {
			o.RetryJoin, o.RetryMaxAttempts, o.RetryInterval = []string{memory.Addr()}, 1, time.Second
		})
		if err := b.stopped(t); err == nil || !strings.HasPrefix(err.Error(), "retry-join: none of "+b.opts.RetryJoin[0]+" could be joined in 2 attempts: ") {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestEndDeliversWhatWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		gw.Down.Store(true)
		file := filepath.Join(t.TempDir(), "out")
		n := start(t, handlers("user="+gw.URL, "user=cat >>"+file+"; echo >>"+file), func(o *config.Options) { o.DrainTimeout = testkit.Patience })
		var want []string
		for i := range 20 {
			want = append(want, fmt.Sprint(i))
			if err := n.Publish(t.Context(), "e", []byte(want[i]), false); err != nil {
				t.Fatal(err)
			}
		}
		testkit.WaitFor(t, "an attempt", func() bool { return gw.Attempts() > 0 })
		n.end(nil)
		testkit.WaitFor(t, "the node to have left", func() bool { return n.serf.State().String() == "shutdown" })
		select {
		case <-n.done:
			t.Fatal("ended before the events were delivered")
		default:
		}
		gw.Down.Store(false)
		if err := n.stopped(t); err != nil {
			t.Error(err)
		}
		var got []string
		for _, p := range gw.Of("user") {
			got = append(got, p.Body)
		}
		if !slices.Equal(got, want) {
			t.Errorf("delivered %v, want %v", got, want)
		}
		if got := testkit.Counter(t, n.Metrics(), "agentctl_scripts_run_total", "success"); got != 20 {
			t.Errorf("the script ran %v times, want 20", got)
		}
	})
}

func TestAPartThatFailsEndsRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := start(t, serveHTTP)
		testkit.WaitFor(t, "the operations endpoint", func() bool {
			resp, err := memory.Client(t).Get("http://" + n.HTTPAddr() + "/healthz")
			if err != nil {
				return false
			}
			resp.Body.Close()
			return true
		})
		n.ops.Close()
		if err := n.stopped(t); err == nil || !strings.HasPrefix(err.Error(), "operations endpoint: ") {
			t.Errorf("Run: %v", err)
		}
		other := start(t)
		other.journal.Close()
		other.Publish(t.Context(), "e", nil, false) // serf takes it, the journal does not
		if err := other.stopped(t); err == nil || !strings.Contains(err.Error(), "journal") {
			t.Errorf("Run: %v", err)
		}
	})
}
