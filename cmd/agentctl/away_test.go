package main

import (
	"context"
	"slices"
	"testing"
	"time"
)

// awaySecondsEnv says for how many seconds the gateway of TestGatewayAway is
// away; scripts/crash.sh makes it a minute.
const awaySecondsEnv = "AGENTCTL_TEST_AWAY_SECONDS"

// TestGatewayAway has a gateway refuse connections while events are published,
// 200 a second. Once it is back it gets all of them, in order, each once.
func TestGatewayAway(t *testing.T) {
	t.Parallel()
	away := time.Duration(setting(t, awaySecondsEnv, 5)) * time.Second
	d := newDurable(t, "web1")
	d.start(t)
	d.gw.refuse()
	ctx, cancel := context.WithTimeout(t.Context(), away)
	defer cancel()
	published := publishSteadily(t, ctx, d.rpc, 200)
	eventually(t, "all that was published waits", func() bool { return statusOf(t, d.node).Waiting == len(published) })
	if s := statusOf(t, d.node); s.Lost > 0 {
		t.Errorf("while the gateway is away, %d events were published: %+v", len(published), s)
	}
	if err := d.gw.answer(200); err != nil {
		t.Fatal(err)
	}
	// The next try is at most half a minute away, and then it goes quickly.
	eventually(t, "all events arrive", func() bool { return len(d.gw.taken()) >= len(published) })
	eventually(t, "nothing waits", func() bool { return statusOf(t, d.node).Waiting == 0 })
	taken := d.gw.taken()
	if !slices.Equal(bodies(taken), published) {
		t.Errorf("%d events arrived, and not the %d published in their order:\n%q", len(taken), len(published), bodies(taken))
	}
	drain := taken[len(taken)-1].at.Sub(taken[0].at)
	t.Logf("SUMMARY gateway away for %v: %d events published meanwhile, taken in order and once, in %v: %.0f/s", away,
		len(published), drain.Round(time.Millisecond), float64(len(taken)-1)/drain.Seconds())
}
