package gossip

import (
	"path/filepath"
	"reflect"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/memnet"
)

// remembered is what a node tells of its events in a full sync, in order.
func (n *Node) remembered(t *testing.T) (all []*recentEvents) {
	t.Helper()
	var state syncState
	if err := state.decode(n.delegate.LocalState(false)); err != nil {
		t.Fatal(err)
	}
	for _, of := range state.Events {
		if of != nil {
			all = append(all, of)
		}
	}
	return all
}

// Of an event that nobody wants on its channel, serf makes what it makes of any other: it
// finds the same copies and the same events too old, and has the same for full syncs.
func FuzzUnwantedEventsAreSerfs(f *testing.F) {
	f.Add([]byte{1, 0, 1, 0, 1, 1, 2, 0})
	f.Add([]byte{9, 0, 255, 7, 9, 0, 9, 1, 200, 3, 255, 7, 0, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		synctest.Test(t, func(t *testing.T) {
			type outcome struct {
				Fresh  []bool
				Clock  uint64
				Rumors [][]byte
				Events []*recentEvents
			}
			run := func(unwanted bool) (got outcome) {
				channel := make(chan serf.Event, 4096)
				c := Config{Serf: bareConfig(memnet.New(memnet.Config{}), "a", "10.0.0.1:7946", channel)}
				c.Serf.EventBuffer = 16 // so that few events are old
				c.Unwanted = func(string, bool) bool { return unwanted }
				n := openBare(t, c)
				n.past.from, *n.recent.min = 0, 3
				fresh := 0
				for ; len(script) > len(got.Fresh)*2+1; got.Fresh = append(got.Fresh, n.events.NumQueued() > fresh) {
					fresh = n.events.NumQueued()
					at, payload := script[len(got.Fresh)*2], script[len(got.Fresh)*2+1]
					m := Message{LTime: serf.LamportTime(at) * 3, Name: string('a' + rune(payload&1)), Payload: make([]byte, payload>>1)}
					raw, err := m.Encode()
					if err != nil {
						t.Fatal(err)
					}
					n.Inject(raw)
				}
				synctest.Wait()
				told := 0
				for len(channel) > 0 {
					if e := <-channel; e.EventType() == serf.EventUser {
						told++
					}
				}
				if want := n.events.NumQueued(); !unwanted && told != want || unwanted && told != 0 {
					t.Errorf("the channel was told of %d of %d events", told, want)
				}
				got.Clock, got.Events = n.EventClock(), n.remembered(t)
				got.Rumors = n.delegate.GetBroadcasts(0, 1<<20)
				return got
			}
			if diff := cmp.Diff(run(false), run(true)); diff != "" {
				t.Errorf("(-told +unwanted):\n%s", diff)
			}
		})
	})
}

// What serf remembers of a batch needs none of the messages that brought it, once the next
// Lamport time has come.
func TestBatchesAreRememberedWithoutMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Config{Serf: bareConfig(memnet.New(memnet.Config{}), "a", "10.0.0.1:7946", make(chan serf.Event, 64))}
		c.Unwanted = func(string, bool) bool { return true }
		n := openBare(t, c)
		n.past.from = 0
		var messages [][]byte
		for _, e := range []struct {
			at      serf.LamportTime
			payload string
		}{{5, "a"}, {5, ""}, {5, "bc"}, {6, "d"}, {7, "e"}} {
			m := Message{LTime: e.at, Name: "kong", Payload: []byte(e.payload)}
			raw, err := m.Encode()
			if err != nil {
				t.Fatal(err)
			}
			n.Inject(raw)
			messages = append(messages, raw)
		}
		want := n.remembered(t)
		for _, raw := range messages[:3] {
			clear(raw)
		}
		if diff := cmp.Diff(want, n.remembered(t)); diff != "" || len(want) != 3 {
			t.Errorf("%d Lamport times (-before +after the messages went):\n%s", len(want), diff)
		}
	})
}

// A snapshot file gets to know of each Lamport time, also of events that nobody wants:
// else what members remember of them came to scripts once more after a restart.
func TestASnapshotHasUnwantedEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "snapshot")
		open := func() *Node {
			c := Config{Serf: bareConfig(memnet.New(memnet.Config{}), "a", "10.0.0.1:7946", make(chan serf.Event, 64))}
			c.Serf.SnapshotPath = file
			c.Unwanted = func(string, bool) bool { return true }
			n, err := Open(c)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		n := open()
		for _, at := range []uint64{5, 6, 6, 9, 8} {
			n.Inject(message(t, at, "kong"))
		}
		synctest.Wait()
		if err := n.Shutdown(); err != nil {
			t.Fatal(err)
		}
		n = open()
		defer n.Shutdown()
		if clock := n.EventClock(); clock != 10 {
			t.Errorf("the node comes back with the event clock %d, want 10", clock)
		}
	})
}

// Serf's types may change: then the program must not start.
func TestOtherLayoutsAreSeen(t *testing.T) {
	want := reflect.TypeFor[[]*recentEvents]()
	for _, other := range []reflect.Type{
		reflect.TypeFor[[]recentEvents](),
		reflect.TypeFor[[]*struct{ LTime serf.LamportTime }](),
		reflect.TypeFor[[]*struct {
			LTime  uint32
			Events []recentEvent
		}](),
		reflect.TypeFor[[]*struct {
			LTime  serf.LamportTime
			Events []struct{ Name, Payload string }
		}](),
	} {
		if sameLayout(other, want) {
			t.Errorf("%v passes for %v", other, want)
		}
	}
}
