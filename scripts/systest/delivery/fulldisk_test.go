package delivery

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/smallfs"
	"agentctl/scripts/testkit/stub"
)

// degrade publishes events, which it returns, until the journal of d, whose disk
// is full, says that it cannot write them.
func degrade(t *testing.T, d *durable, publish func(string)) (published []string) {
	t.Helper()
	testkit.WaitFor(t, "the journal of "+d.name+" is degraded", func() bool {
		if len(published) < 300 { // well within what serf remembers
			published = append(published, fmt.Sprintf("filler %d %s", len(published), strings.Repeat(".", 400)))
			publish(published[len(published)-1])
		}
		return proc.JournalMetric(t, d.Node, "degraded") == 1
	})
	return published
}

// TestFullDisk fills the disk of an agent's journal: events go on to be
// delivered, and the agent says what is wrong. Once there is room it writes what
// it holds, says so, and a kill loses nothing.
func TestFullDisk(t *testing.T) {
	disk := t.TempDir()
	fs := smallfs.Mount(t, disk)
	if fs == nil {
		testkit.NotRun(t, "it needs Linux, and root that may mount a file system, to fill it")
	}
	d := newDurable(t, "web1")
	d.data = filepath.Join(disk, "data")
	d.start(t)
	publish := proc.NewPublisher(t, d.Node)
	publish("well")
	testkit.WaitFor(t, "the event is posted", func() bool { return len(d.gw.Taken()) == 1 })

	fs.Fill()
	published := append([]string{"well"}, degrade(t, d, publish)...)
	for i := range 50 {
		published = append(published, fmt.Sprintf("on a full disk %d", i))
		publish(published[len(published)-1])
	}
	testkit.WaitFor(t, "all events are posted", func() bool { return len(d.gw.Taken()) >= len(published) })
	if got := stub.Bodies(d.gw.Taken()); strings.Join(got, "\n") != strings.Join(published, "\n") {
		t.Errorf("on a full disk these were posted:\n%q\nwant, in this order:\n%q", got, published)
	}
	testkit.WaitFor(t, "all answers have come", func() bool { return proc.StatusOf(t, d.Node).Waiting == 0 })
	// Some more, which wait for their gateway when the agent is killed.
	d.gw.Refuse()
	for i := range 50 {
		published = append(published, fmt.Sprintf("kept %d", i))
		publish(published[len(published)-1])
	}
	if proc.JournalMetric(t, d.Node, "degraded") != 1 || proc.JournalMetric(t, d.Node, "unwritten_events") < 50 || proc.JournalMetric(t, d.Node, "commit_failures_total") == 0 {
		_, text := proc.Get(t, d.Node, "/metrics")
		t.Errorf("the metrics do not say that the journal cannot be written:\n%s", text)
	}
	if _, text := proc.Get(t, d.Node, "/readyz"); !strings.Contains(text, "not ready") || !strings.Contains(text, "no space left on device") {
		t.Errorf("/readyz does not say that the journal cannot be written: %s", text)
	}
	logged := func(message string) int { return strings.Count(d.Printed(), message) }
	testkit.WaitFor(t, "one line of the log says that the journal cannot be written, and why", func() bool {
		return logged("the journal cannot be written") == 1 && logged("no space left on device") > 0
	})

	fs.Grow()
	testkit.WaitFor(t, "the journal is written again", func() bool {
		return proc.JournalMetric(t, d.Node, "degraded") == 0 && proc.JournalMetric(t, d.Node, "unwritten_events") == 0
	})
	testkit.WaitFor(t, "the log says so", func() bool { return logged("the journal is written again") == 1 })
	d.mustDie(t)
	if err := d.gw.Answer(200); err != nil {
		t.Fatal(err)
	}
	d.start(t)
	testkit.WaitFor(t, "what waited is posted", func() bool { return len(d.gw.Taken()) >= len(published) })
	testkit.WaitFor(t, "nothing waits", func() bool { return proc.StatusOf(t, d.Node).Waiting == 0 })
	if got := stub.Bodies(d.gw.Taken()); strings.Join(got, "\n") != strings.Join(published, "\n") {
		t.Errorf("after the kill these have been posted:\n%q\nwant, in this order:\n%q", got, published)
	}
}
