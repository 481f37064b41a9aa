package publish

import (
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/gossip"
	"agentctl/agent/plumtree"
)

func rawOf(t *testing.T, ltime serf.LamportTime, payload string) []byte {
	m := gossip.Message{LTime: ltime, Name: "e", Payload: []byte(payload)}
	raw, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// An event is taken out once, by what serf has of it, and not by another of its Lamport
// time. So many are remembered, and for so long.
func TestQuietEventsAreTakenOnce(t *testing.T) {
	var q quiet
	now := time.Now()
	q.add(rawOf(t, 1, "a"), 7, now)
	q.add(rawOf(t, 1, "b"), 8, now)
	q.add([]byte("no event"), 9, now)
	if n := q.n.Load(); n != 2 {
		t.Fatalf("%d events", n)
	}
	for _, e := range []serf.UserEvent{{LTime: 1, Name: "e", Payload: []byte("c")}, {LTime: 2, Name: "e", Payload: []byte("a")}} {
		if got := q.take(quietKey(&e)); got != nil {
			t.Errorf("for %v there is event %d", e, got.id)
		}
	}
	a := serf.UserEvent{LTime: 1, Name: "e", Payload: []byte("a"), Coalesce: true}
	if got := q.take(quietKey(&a)); got == nil || got.id != 7 || string(got.raw) != string(rawOf(t, 1, "a")) {
		t.Errorf("got %v", got)
	}
	if got := q.take(quietKey(&a)); got != nil {
		t.Error("taken twice")
	}
	q.takeRaw(rawOf(t, 1, "b"))
	if n := q.n.Load(); n != 0 {
		t.Errorf("%d events are left", n)
	}
	for i := range 2 * maxQuiet {
		q.add(rawOf(t, 2, fmt.Sprint(i)), 0, now)
	}
	if n := q.n.Load(); n != maxQuiet || q.order.Len() != maxQuiet {
		t.Errorf("%d events, %d in order", n, q.order.Len())
	}
	q.add(rawOf(t, 3, "last"), 0, now.Add(plumtree.Watched))
	if n := q.n.Load(); n != 1 || q.order.Len() != 1 {
		t.Errorf("%d events of long ago, %d in order", n-1, q.order.Len())
	}
}
