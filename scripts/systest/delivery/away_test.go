package delivery

import (
	"context"
	"slices"
	"testing"
	"time"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stub"
)

// awaySecondsEnv says for how many seconds the gateway of TestGatewayAway is
// away; scripts/crash.sh makes it a minute.
const awaySecondsEnv = "AGENTCTL_TEST_AWAY_SECONDS"

// TestGatewayAway has a gateway refuse connections while events are published,
// 200 a second. Once it is back it gets all of them, in order, each once.
func TestGatewayAway(t *testing.T) {
	away := time.Duration(testkit.Setting(t, awaySecondsEnv, 3, 60)) * time.Second
	d := newDurable(t, "web1")
	d.start(t)
	d.gw.Refuse()
	ctx, cancel := context.WithTimeout(t.Context(), away)
	defer cancel()
	published := publishSteadily(t, ctx, d.RPC, 200)
	testkit.WaitFor(t, "all that was published waits", func() bool { return proc.StatusOf(t, d.Node).Waiting == len(published) })
	if s := proc.StatusOf(t, d.Node); s.Lost > 0 {
		t.Errorf("while the gateway is away, %d events were published: %+v", len(published), s)
	}
	if err := d.gw.Answer(200); err != nil {
		t.Fatal(err)
	}
	// The agent notices at once, and then it goes quickly.
	testkit.WaitFor(t, "all events arrive", func() bool { return len(d.gw.Taken()) >= len(published) })
	testkit.WaitFor(t, "nothing waits", func() bool { return proc.StatusOf(t, d.Node).Waiting == 0 })
	taken := d.gw.Taken()
	if !slices.Equal(stub.Bodies(taken), published) {
		t.Errorf("%d events arrived, and not the %d published in their order:\n%q", len(taken), len(published), stub.Bodies(taken))
	}
	drain := taken[len(taken)-1].At.Sub(taken[0].At)
	t.Logf("SUMMARY gateway away for %v: %d events published meanwhile, taken in order and once, in %v: %.0f/s", away,
		len(published), drain.Round(time.Millisecond), float64(len(taken)-1)/drain.Seconds())
}
