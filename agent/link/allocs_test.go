package link

import (
	"testing"
	"testing/synctest"
)

// A message from Broadcast over a link to Deliver, with its acknowledgement, does not come
// to cost more. The network in memory takes some of it.
func TestAMessageAllocates(t *testing.T) {
	const most = 19 // with the race detector, for which pools drop some; 15 without it
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		delivered := 0
		a := memNode(t, mem, 1, nil)
		b := memNode(t, mem, 2, func(c *Config) { c.Deliver = func(_ Peer, msgs [][]byte) Ack { delivered += len(msgs); return Ack{} } })
		to, msg := []Peer{b.peer}, make([]byte, 300)
		send := func() {
			if err := a.Broadcast(to, msg); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		send() // opens the link
		const runs = 1000
		if n := testing.AllocsPerRun(runs, send); n > most {
			t.Errorf("a message takes %v allocations, at most %d are wanted", n, most)
		}
		if want := 1 + 1 + runs; delivered != want || a.Waiting() != 0 {
			t.Errorf("%d messages came and %d are not acknowledged, want %d and 0", delivered, a.Waiting(), want)
		}
	})
}
