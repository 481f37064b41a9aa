package broadcast

import (
	"testing"
	"time"

	"agentctl/agent/plumtree"

	"github.com/hashicorp/serf/serf"
)

// Estimates of round trips waver. A member that is about as far as near ones are at most
// stays near, or far, as it was.
func TestAMemberAtTheBorderStaysOnItsSide(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		rtts []time.Duration
		near string // one letter for each
	}{
		{[]time.Duration{19 * ms, 21 * ms, 19 * ms, 29 * ms}, "yyyy"},
		{[]time.Duration{21 * ms, 19 * ms, 16 * ms, 22 * ms}, "nnnn"},
		{[]time.Duration{19 * ms, 31 * ms, 21 * ms, 16 * ms, 14 * ms, 21 * ms}, "ynnnyn"},
		{[]time.Duration{0, 40 * ms, 0, 16 * ms, 29 * ms}, "ynyyy"},
	} {
		now := time.Duration(0)
		tr := &tree{cfg: &Config{RTT: func(string) time.Duration { return now }}}
		got := ""
		for _, now = range c.rtts {
			m := tr.withRTT([]serf.Member{{Name: "a"}})
			got += map[bool]string{true: "y", false: "n"}[m[0].RTT < plumtree.Near]
		}
		if got != c.near {
			t.Errorf("%v: near is %s, not %s", c.rtts, got, c.near)
		}
	}
}
