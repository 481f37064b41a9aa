package gossip

import (
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/memnet"
)

// took is what a serf node has made of some messages.
type took struct {
	Events []serf.Event
	Rumors [][]byte
	Clock  uint64
}

func tookBy(t *testing.T, inject func(n *Node, raw []byte), raws ...[]byte) (got took) {
	t.Helper()
	events := make(chan serf.Event, 64)
	n := openBare(t, Config{Serf: bareConfig(memnet.New(memnet.Config{}), "a", "10.0.0.1:7946", events)})
	synctest.Wait()
	for len(events) > 0 {
		<-events // of its own join
	}
	for _, raw := range raws {
		inject(n, raw)
	}
	synctest.Wait()
	for len(events) > 0 {
		got.Events = append(got.Events, <-events)
	}
	for _, b := range n.delegate.GetBroadcasts(0, 1<<20) {
		if b[0] == userMessageType {
			got.Rumors = append(got.Rumors, b)
		}
	}
	got.Clock = n.EventClock()
	return got
}

// Serf makes of an injected event what it makes of one that comes by gossip.
func TestInjectIsSerfs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var raws [][]byte
		for _, m := range []Message{
			{LTime: 5000, Name: "kong", Payload: []byte("a payload"), CC: true},
			{LTime: 5000, Name: "kong", Payload: []byte("a payload"), CC: true}, // a copy
			{LTime: 5001, Name: "purge"},
			{LTime: 5001, Name: "", Payload: []byte{}}, // the same to serf
			{LTime: 10, Name: "old"},
		} {
			raw, err := m.Encode()
			if err != nil {
				t.Fatal(err)
			}
			raws = append(raws, raw)
		}
		otherForm := []byte("\x03\x83\xa4Name\xa5other\xa7Payload\xa1p\xa5LTime\xcd\x13\x8a")
		raws = append(raws, otherForm, []byte("\x03no event"))
		want := tookBy(t, func(n *Node, raw []byte) { n.delegate.NotifyMsg(raw) }, raws...)
		got := tookBy(t, func(n *Node, raw []byte) { n.Inject(raw) }, raws...)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-by gossip +injected):\n%s", diff)
		}
		if len(got.Events) != 4 || len(got.Rumors) != 4 || got.Clock != 5003 {
			t.Errorf("serf took %+v", got)
		}
	})
}

// What serf does with an injected event does not grow: decoded by its codec, as what
// comes by gossip is, one took 34 allocations.
func TestInjectAllocates(t *testing.T) {
	const runs, most = 1000, 9
	synctest.Test(t, func(t *testing.T) {
		n := openBare(t, Config{Serf: bareConfig(memnet.New(memnet.Config{}), "a", "10.0.0.1:7946", nil)})
		raws := make([][]byte, runs+1) // AllocsPerRun runs once more
		for i := range raws {
			raws[i] = message(t, uint64(i+1), strconv.Itoa(i%8))
		}
		next := 0
		allocs := testing.AllocsPerRun(runs, func() {
			n.Inject(raws[next])
			next++
		})
		if allocs > most {
			t.Errorf("an event takes %v allocations, at most %d are wanted", allocs, most)
		}
		if queued := n.events.NumQueued(); queued < runs {
			t.Errorf("serf passes on %d of %d events", queued, runs)
		}
	})
}

var _ memberlist.UniqueBroadcast = rumor(nil)
