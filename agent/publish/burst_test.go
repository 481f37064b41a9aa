package publish

import (
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/serf/serf"
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
