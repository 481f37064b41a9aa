package agent

import (
	"testing"
	"time"

	"agentctl/agent/config"
	"agentctl/scripts/testkit"
)

// A durable publish is answered when both journals are synced, and not when somebody looks
// again: an agent tells those who wait of each event that its journal takes.
func TestADurablePublishIsAnsweredAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		kept := func(o *config.Options) { o.DataDir = t.TempDir() }
		a, b, plain := start(t, kept), start(t, kept), start(t)
		join(t, a, b, plain)
		for _, from := range []*node{a, plain} { // the first one makes the links
			for i := range 10 {
				began := time.Now()
				sent, r, err := from.publishDurably(t.Context(), 2, "e", []byte{byte(i)}, false)
				if err != nil || !r.Reached() {
					t.Fatalf("%+v, %v", r, err)
				}
				if took := time.Since(began); i > 0 && took > 200*time.Millisecond {
					t.Errorf("it took %v", took)
				}
				testkit.Want(t, "who has it", r.Have, []string{min(a.opts.NodeName, b.opts.NodeName), max(a.opts.NodeName, b.opts.NodeName)})
				for _, n := range []*node{a, b} {
					if rec, known := n.journal.Find(sent.ID()); !known || n.disk.Status().Durable < rec.Seq {
						t.Errorf("%s counts, and its file does not have %s", n.opts.NodeName, sent.ID())
					}
				}
			}
		}
	})
}
