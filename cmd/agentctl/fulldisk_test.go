package main

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"agentctl/scripts/smallfs"
)

// get asks an agent's operations endpoint for a path.
func get(t *testing.T, n *node, path string) (status int, body string) {
	t.Helper()
	client := http.Client{Timeout: pollLimit}
	res, err := client.Get("http://" + n.http + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// journalMetric is the value of one of an agent's journal metrics.
func journalMetric(t *testing.T, n *node, name string) int {
	t.Helper()
	return int(metric(t, n, "agentctl_journal_"+name))
}

// degrade publishes events, which it returns, until the journal of d, whose disk
// is full, says that it cannot write them.
func degrade(t *testing.T, d *durable, publish func(string)) (published []string) {
	t.Helper()
	eventually(t, "the journal of "+d.name+" is degraded", func() bool {
		if len(published) < 300 { // well within what serf remembers
			published = append(published, fmt.Sprintf("filler %d %s", len(published), strings.Repeat(".", 400)))
			publish(published[len(published)-1])
		}
		return journalMetric(t, d.node, "degraded") == 1
	})
	return published
}

// TestFullDisk fills the disk of an agent's journal: events go on to be
// delivered, and the agent says what is wrong. Once there is room it writes what
// it holds, says so, and a kill loses nothing.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	fs := smallfs.Mount(t, disk)
	if fs == nil {
		t.Skip("this needs root that may mount a file system, to fill it")
	}
	d := newDurable(t, "web1")
	d.data = filepath.Join(disk, "data")
	d.start(t)
	publish := newPublisher(t, d.node)
	publish("well")
	eventually(t, "the event is posted", func() bool { return len(d.gw.taken()) == 1 })

	fs.Fill()
	published := append([]string{"well"}, degrade(t, d, publish)...)
	for i := range 50 {
		published = append(published, fmt.Sprintf("on a full disk %d", i))
		publish(published[len(published)-1])
	}
	eventually(t, "all events are posted", func() bool { return len(d.gw.taken()) >= len(published) })
	if got := bodies(d.gw.taken()); strings.Join(got, "\n") != strings.Join(published, "\n") {
		t.Errorf("on a full disk these were posted:\n%q\nwant, in this order:\n%q", got, published)
	}
	eventually(t, "all answers have come", func() bool { return statusOf(t, d.node).Waiting == 0 })
	// Some more, which wait for their gateway when the agent is killed.
	d.gw.refuse()
	for i := range 50 {
		published = append(published, fmt.Sprintf("kept %d", i))
		publish(published[len(published)-1])
	}
	if journalMetric(t, d.node, "degraded") != 1 || journalMetric(t, d.node, "unwritten_events") < 50 || journalMetric(t, d.node, "commit_failures_total") == 0 {
		_, text := get(t, d.node, "/metrics")
		t.Errorf("the metrics do not say that the journal cannot be written:\n%s", text)
	}
	if _, text := get(t, d.node, "/readyz"); !strings.Contains(text, "not ready") || !strings.Contains(text, "no space left on device") {
		t.Errorf("/readyz does not say that the journal cannot be written: %s", text)
	}
	logged := func(message string) int { return strings.Count(d.printed(), message) }
	if n := logged("the journal cannot be written"); n != 1 || logged("no space left on device") == 0 {
		t.Errorf("%d lines in the log say that the journal cannot be written, want 1 with the reason", n)
	}

	fs.Grow()
	eventually(t, "the journal is written again", func() bool {
		return journalMetric(t, d.node, "degraded") == 0 && journalMetric(t, d.node, "unwritten_events") == 0
	})
	eventually(t, "the log says so", func() bool { return logged("the journal is written again") == 1 })
	d.mustDie(t)
	if err := d.gw.answer(200); err != nil {
		t.Fatal(err)
	}
	d.start(t)
	eventually(t, "what waited is posted", func() bool { return len(d.gw.taken()) >= len(published) })
	eventually(t, "nothing waits", func() bool { return statusOf(t, d.node).Waiting == 0 })
	if got := bodies(d.gw.taken()); strings.Join(got, "\n") != strings.Join(published, "\n") {
		t.Errorf("after the kill these have been posted:\n%q\nwant, in this order:\n%q", got, published)
	}
}
