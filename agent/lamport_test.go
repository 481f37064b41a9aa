package agent

import (
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/config"
)

func TestBurstsShareLamportTimes(t *testing.T) {
	t.Parallel()
	var b burst
	clock, now := serf.LamportTime(7), time.Now()
	publish := func(payload string) serf.LamportTime {
		l := b.next(clock, "kong", []byte(payload), now)
		clock = max(clock, l+1) // as serf does
		return l
	}
	for i := range 120 {
		if got, want := publish(fmt.Sprint(i)), serf.LamportTime(7+i/burstEvents); got != want {
			t.Fatalf("event %d has Lamport time %d, want %d", i, got, want)
		}
	}
	if got := publish("119"); got != 10 {
		t.Errorf("an equal event has Lamport time %d, want a new one", got)
	}
	clock = 50 // another node's event
	if got := publish("x"); got != 50 {
		t.Errorf("behind another's event: Lamport time %d, want 50", got)
	}
	if got := publish("y"); got != 50 {
		t.Errorf("soon after: Lamport time %d, want 50", got)
	}
	now = now.Add(burstTime)
	if got := publish("z"); got != 51 {
		t.Errorf("later: Lamport time %d, want 51", got)
	}
	if got := b.next(clock, "x\x00z", nil, now); got != 51 {
		t.Errorf("other name: Lamport time %d, want 51", got)
	}
	if got := b.next(clock, "kong", []byte("z"), now); got != 52 {
		t.Errorf("the same event: Lamport time %d, want 52", got)
	}
}

// Events of a burst share Lamport times, so that members keep up, and are told
// apart all the same: on the node that publishes and on others, also equal ones.
func TestSharedLamportTimesAreSeenByOthers(t *testing.T) {
	t.Parallel()
	const events = 500
	for name, change := range map[string]func(*config.Options){
		"over links": func(*config.Options) {},
		"by gossip":  func(o *config.Options) { o.PeerLinks, o.DirectSend = false, false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := startWithGateway(t, change), startWithGateway(t, change)
			join(t, a.node, b.node)
			var want []string
			for i := range events {
				want = append(want, fmt.Sprint(i%7))
			}
			publishAll(t, a.Agent, want...)
			for _, n := range []gatewayNode{a, b} {
				n.has(t, want)
				ids, times := map[string]bool{}, map[uint64]int{}
				for rec, err := range n.journal.Events(0) {
					if err != nil {
						t.Fatal(err)
					}
					if e := rec.Event; e.Name == "e" {
						ids[e.ID] = true
						times[e.LTime]++
					}
				}
				if len(ids) != events || len(times) == events {
					t.Errorf("%s has %d events with %d Lamport times, want %d with fewer times", n.opts.NodeName, len(ids), len(times), events)
				}
				for l, count := range times {
					if count > 7 {
						t.Errorf("%d events have Lamport time %d, of which only 7 differ", count, l)
					}
				}
			}
		})
	}
}
