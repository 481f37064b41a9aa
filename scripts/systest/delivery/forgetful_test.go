package delivery

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"agentctl/agent/api"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/lyingfs"
	"agentctl/scripts/testkit/proc"
)

// forgetfulKillsEnv says how often an agent is killed right behind its answer;
// scripts/crash.sh has it done a thousand times.
const (
	forgetfulKillsEnv = "AGENTCTL_TEST_FORGETFUL_KILLS"
	forgetfulPairsEnv = "AGENTCTL_TEST_FORGETFUL_PAIRS" // the same with two agents
)

// syncTakes is that of a fast disk.
const syncTakes = time.Millisecond

// newForgetful makes an agent whose disk forgets at each kill what was not synced, but for
// a part with this chance.
func newForgetful(t *testing.T, name string, chance func() float64, args ...string) *durable {
	t.Helper()
	dir := t.TempDir()
	disk := lyingfs.Mount(t, dir, syncTakes)
	if disk == nil {
		testkit.NotRun(t, "it needs Linux, and root that may mount a file system, for a disk that forgets")
	}
	d := newDurable(t, name, args...)
	d.data = filepath.Join(dir, "data")
	d.cut = func() { disk.Crash(chance()) }
	return d
}

// nothing is the chance of a disk that keeps only what was synced.
func nothing() float64 { return 0 }

// answered publishes an event over HTTP, and returns the whole answer.
func answered(client *http.Client, n *proc.Node, query, payload string) (status int, report api.PublishReport, err error) {
	resp, err := client.Post("http://"+n.HTTP+"/v1/events?name=kong"+query, "application/octet-stream", strings.NewReader(payload))
	if err != nil {
		return 0, report, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, report, err
	}
	return resp.StatusCode, report, json.NewDecoder(bytes.NewReader(body)).Decode(&report)
}

// restarted begins a life after a power cut. Its journal must open with no complaint.
func (d *durable) restarted(t *testing.T) {
	t.Helper()
	d.start(t)
	for line := range strings.Lines(d.Printed()) {
		if strings.Contains(line, "journal") && (strings.Contains(line, "level=ERROR") || strings.Contains(line, "level=WARN")) {
			t.Errorf("life %d of %s: %s", d.life, d.name, line)
		}
	}
}

// knows tells whether an agent has an event, which has to wait for its gateway.
func knows(t *testing.T, d *durable, id string) bool {
	t.Helper()
	status, body := proc.Get(t, d.Node, "/v1/events/"+id)
	if status == http.StatusNotFound {
		return false
	}
	var e api.EventReport
	if err := json.Unmarshal([]byte(body), &e); err != nil || e.ID != id || e.Targets["gateway"].State != api.OutcomeWaiting {
		t.Fatalf("asked for event %s, which waits, %s answers %d, %v: %s", id, d.name, status, err, body)
	}
	return true
}

// lostBehindTheAnswer kills an agent right behind its answer to a publish, and cuts the
// power at that moment, again and again. It returns how often the next life does not know
// the event. The gateway is away all the time, so that each event waits. Before the kill
// it calls between, which may be nil.
func lostBehindTheAnswer(t *testing.T, kills int, query string, want int, between func(d *durable, id string)) (lost int) {
	d := newForgetful(t, "publisher", nothing)
	d.gw.Refuse()
	d.start(t)
	for i := range kills {
		status, report, err := answered(http.DefaultClient, d.Node, query, fmt.Sprintf("event %d", i))
		if between != nil {
			between(d, report.ID)
		}
		d.mustDie(t)
		if err != nil || status != want {
			t.Fatalf("publishing was answered with %d, %v, want %d:\n%s", status, err, want, d.Printed())
		}
		d.restarted(t)
		if !knows(t, d, report.ID) {
			lost++
		}
	}
	return lost
}

// TestPlainPublishIsForgotten shows that the tests of durable publishes can fail.
func TestPlainPublishIsForgotten(t *testing.T) {
	kills := testkit.Setting(t, forgetfulKillsEnv, 15, 1000)
	lost := lostBehindTheAnswer(t, kills, "", http.StatusAccepted, nil)
	t.Logf("SUMMARY killed right behind the answer to a plain publish: %d of %d events lost", lost, kills)
	if lost == 0 {
		t.Errorf("none of %d events was lost: the disk does not forget, or the kill comes too late", kills)
	}
}

// TestDurablePublishSurvives does the same with publishes that are answered once the event
// is on the publisher's disk.
func TestDurablePublishSurvives(t *testing.T) {
	kills := testkit.Setting(t, forgetfulKillsEnv, 15, 1000)
	lost := lostBehindTheAnswer(t, kills, "&durable=1", http.StatusOK, nil)
	t.Logf("SUMMARY killed right behind the answer to a durable publish: %d of %d events lost", lost, kills)
	if lost > 0 {
		t.Errorf("%d of %d events were lost", lost, kills)
	}
}

// TestWrittenSurvives kills an agent once it says that its journal has the event, and then
// that its file lacks none.
func TestWrittenSurvives(t *testing.T) {
	kills := testkit.Setting(t, forgetfulKillsEnv, 15, 200)
	lost := lostBehindTheAnswer(t, kills, "", http.StatusAccepted, func(d *durable, id string) {
		testkit.WaitFor(t, "the journal has the event", func() bool { return knows(t, d, id) })
		testkit.WaitFor(t, "the journal is written", func() bool { return proc.JournalMetric(t, d.Node, "unwritten_events") == 0 })
	})
	t.Logf("SUMMARY killed once the event was written: %d of %d events lost", lost, kills)
	if lost > 0 {
		t.Errorf("%d of %d events were lost after the status said that they are in the file", lost, kills)
	}
}

// TestDurableOnTwoNodes kills two agents, and cuts the power of both, right behind the
// answer that both have the event on their disks. Then each is started while the other is
// not there, so that it cannot have the event from the other.
func TestDurableOnTwoNodes(t *testing.T) {
	kills := testkit.Setting(t, forgetfulPairsEnv, 4, 200)
	a := newForgetful(t, "a", nothing)
	b := newForgetful(t, "b", nothing, "-retry-join="+a.gossip, "-retry-interval=1s")
	both := []*durable{a, b}
	for _, d := range both {
		d.gw.Refuse()
	}
	b.start(t)
	lost := 0
	for i := range kills {
		a.restarted(t)
		for _, d := range both {
			testkit.WaitFor(t, d.name+" knows the other", func() bool { return proc.Alive(t, d.Node) == 2 })
		}
		status, report, err := answered(http.DefaultClient, a.Node, "&durable=2", fmt.Sprintf("event %d", i))
		if err := dieTogether(both...); err != nil {
			t.Fatal(err)
		}
		if err != nil || status != http.StatusOK {
			t.Fatalf("publishing was answered with %d, %+v, %v, want 200:\n%s", status, report.Durable, err, a.Printed())
		}
		a.restarted(t)
		known := knows(t, a, report.ID)
		a.mustDie(t)
		b.restarted(t)
		if !known || !knows(t, b, report.ID) {
			lost++
		}
	}
	t.Logf("SUMMARY two killed right behind the answer that both have the event: %d of %d events lost on one of them", lost, kills)
	if lost > 0 {
		t.Errorf("%d of %d events were lost", lost, kills)
	}
}
