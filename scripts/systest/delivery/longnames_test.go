package delivery

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
)

// TestLongNamesBesideStock publishes payloads of 512 bytes under long names, at an
// agent that has nothing but gossip, encrypted. Members with stock serf get each.
func TestLongNamesBesideStock(t *testing.T) {
	const encrypt = "-encrypt=T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s="
	serf := proc.BuildAs(t, "serf")
	events := filepath.Join(t.TempDir(), "events")
	handler := fmt.Sprintf(`-event-handler=user=echo "${#SERF_USER_EVENT} $(wc -c)" >> %s`, events)
	first := proc.NewStock(t, "stock11", stock.V011, encrypt, handler)
	second := proc.NewStock(t, "stock85", stock.V085, encrypt, handler, "-join="+first.Gossip)
	n := proc.NewAgent(t, "ours", encrypt, "-join="+first.Gossip, "-peer-links=false", "-direct-send=false", "-max-event-size=0")
	for _, m := range []*proc.Node{n, first, second} {
		testkit.WaitFor(t, m.Name+" to know all", func() bool { return len(proc.MembersAt(t, m)) == 3 })
	}
	var want []string
	for _, name := range []int{4, 31, 32, 256, 500, 800} {
		for _, program := range []string{serf, stock.Serf(t, stock.V011)} {
			event := strings.Repeat("n", name-1) + fmt.Sprint(len(want)%10) // each is an event of its own
			out := proc.Output(t, program, "event", "-coalesce=false", "-rpc-addr="+n.RPC, event, strings.Repeat("x", 512))
			if !strings.Contains(out, "dispatched! Coalescing enabled: false") {
				t.Errorf("a name of %d bytes: %s", name, out)
			}
			line := fmt.Sprint(name, " ", 513) // serf adds a newline to a payload
			want = append(want, line, line)    // by both members
		}
	}
	slices.Sort(want)
	var got []string
	testkit.WaitFor(t, "both members to get all", func() bool {
		data, _ := os.ReadFile(events) // it may not be there yet
		got = strings.Split(strings.TrimSpace(string(data)), "\n")
		return len(got) >= len(want)
	})
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("they got %q, want %q", got, want)
	}
}
