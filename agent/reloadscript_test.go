//go:build unix

package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"agentctl/scripts/testkit"
)

// Scripts that come and go while events flow: each event is handled once, by
// the script of its time, and none falls between an old one and a new one.
func TestReloadOfScriptsLosesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "handled")
		script := func(n int) []string { return []string{fmt.Sprintf("user:e=cat >> %s; : %d", file, n)} }
		n := startRunning(t, handlers(script(0)[0]))
		handled := func() []string {
			text, _ := os.ReadFile(file)
			lines := strings.Fields(string(text))
			slices.Sort(lines) // an old script may still work while the new one does
			return lines
		}
		const events, reloads = 120, 6
		var want []string
		for i := range events {
			payload := fmt.Sprintf("%04d", i)
			want = append(want, payload)
			publishAll(t, n.Agent, payload)
			if i%(events/reloads) == 0 {
				if i%(2*events/reloads) == 0 { // every other time the old script is idle
					testkit.WaitFor(t, "what was published to be handled", func() bool { return len(handled()) == i+1 })
				}
				o := n.opts.Options
				o.EventHandlers = script(i + 1)
				if err := n.Reload(compiled(t, o)); err != nil {
					t.Fatal(err)
				}
			}
		}
		testkit.WaitFor(t, "every event to be handled", func() bool { return len(handled()) >= events })
		if got := handled(); !slices.Equal(got, want) {
			t.Errorf("handled %v, want %v", got, want)
		}
	})
}
