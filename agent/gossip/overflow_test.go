package gossip

import (
	"fmt"
	"io"
	"log"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/memnet"
	"agentctl/scripts/testkit"
)

// What memberlist's queue has no room for is counted, once for each second: what was
// received and what was counted is all that was sent. The test overflows memberlist's
// own queue, so it fails where a version of it says so in other words.
func TestMessagesThatMemberlistDropsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const sent, depth = 100, 16
		network := memnet.New(memnet.Config{})
		held := make(chan struct{})
		var got received
		var lost, tellings atomic.Uint64
		lines := new(testkit.LogBuffer)
		conf := bareConfig(network, "a", "10.0.0.1:7946", nil)
		conf.MemberlistConfig.HandoffQueueDepth = depth
		conf.MemberlistConfig.Logger = log.New(lines, "", 0)
		a := openBare(t, Config{Serf: conf,
			Receive: func(e serf.UserEvent, synced bool) { <-held; got.receive(e, synced) },
			Lost:    func(n uint64) { lost.Add(n); tellings.Add(1) },
		})
		b := openBare(t, Config{Serf: bareConfig(network, "b", "10.0.0.2:7946", nil)})
		if _, err := b.Join([]string{a.Addr()}, false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second) // the gossip of the join
		to := b.Memberlist().Members()[0]
		if to.Name == "b" {
			to = b.Memberlist().Members()[1]
		}
		for n := range sent {
			if err := b.Memberlist().SendBestEffort(to, message(t, 10, fmt.Sprint("e", n))); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if n := lost.Load(); n > 0 {
			t.Errorf("told at once of %d", n)
		}
		time.Sleep(2 * overflowGathered)
		close(held)
		time.Sleep(2 * overflowGathered)
		synctest.Wait()
		// Other messages of the gossip may have been dropped, too.
		r, l, n := uint64(len(got.names())), lost.Load(), tellings.Load()
		if r == sent || l < sent-r || n < 1 || n > 4 {
			t.Errorf("of %d events %d were received, and %d told as lost, in %d calls", sent, r, l, n)
		}
		if lines := lines.Count(overflowLine); lines != int(n) {
			t.Errorf("memberlist's line was passed on %d times, want once for each of %d calls", lines, n)
		}
	})
}

// The end of a node tells at once of what was lost, and no text that a member sends
// passes for memberlist's line.
func TestOverflowIsToldAtTheEndAndForgedByNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []uint64
		logger, o := watchOverflow(log.New(io.Discard, "", log.LstdFlags), func(n uint64) { told = append(told, n) })
		logger.Print(overflowLine + "from=10.0.0.1:7946")
		logger.Print("[WARN] memberlist: handler queue full, dropping message (3) from=10.0.0.1:7946")
		logger.Print("[ERR] memberlist: no such member: " + overflowLine)
		o.tell()
		o.tell()
		time.Sleep(time.Minute)
		if len(told) != 1 || told[0] != 1 {
			t.Errorf("told of %v, want of one", told)
		}
		logger.Print(overflowLine + "from=10.0.0.1:7946")
		time.Sleep(2 * overflowGathered)
		synctest.Wait()
		if len(told) != 2 {
			t.Errorf("told of %v, want of one more", told)
		}
	})
}
