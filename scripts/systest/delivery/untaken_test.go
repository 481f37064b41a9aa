package delivery

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/loopback"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/smallfs"
	"agentctl/scripts/testkit/stock"
)

// untakenRoundsEnv says how often TestUntaken does it; scripts/crash.sh makes it 20.
const untakenRoundsEnv = "AGENTCTL_TEST_UNTAKEN_ROUNDS"

// TestUntaken kills an agent when serf's snapshot on disk says that an event has
// been seen, and the event is nowhere but in memory: its handler is busy with
// another. Ours, whose journal is on a full disk then, has the cluster send the
// event again; stock serf loses it.
func TestUntaken(t *testing.T) {
	rounds := testkit.Setting(t, untakenRoundsEnv, 2, 20)
	for _, side := range []struct {
		name  string
		round func(*testing.T) bool
		lost  int
	}{
		{"ours", oursUntaken, 0},
		{"stock", stockUntaken, rounds},
	} {
		t.Run(side.name, func(t *testing.T) {
			t.Parallel()
			lost := 0
			for i := range rounds {
				t.Run(strconv.Itoa(i+1), func(t *testing.T) {
					if !side.round(t) {
						lost++
					}
				})
			}
			if t.Failed() || t.Skipped() {
				return
			}
			t.Logf("SUMMARY seen by serf and then killed: %s lost %d of %d", side.name, lost, rounds)
			if lost != side.lost {
				t.Errorf("%s lost the event %d times of %d, want %d", side.name, lost, rounds, side.lost)
			}
		})
	}
}

// seen publishes event A, and others behind it until the snapshot in a file says
// that A was seen: serf flushes it with the first write half a second after the
// last flush. It returns what it published.
func seen(t *testing.T, publisher *durable, snapshot string) (published []string) {
	t.Helper()
	publish := proc.NewPublisher(t, publisher.Node)
	publish("A")
	published = append(published, "A")
	var clock uint64
	testkit.WaitFor(t, "the publisher's own gateway has A", func() bool {
		for _, p := range publisher.gw.Taken() {
			if string(p.Body) == "A" {
				clock, _ = strconv.ParseUint(p.Header.Get("X-Serf-Event-Ltime"), 10, 64)
			}
		}
		return clock > 0
	})
	pause := time.NewTicker(600 * time.Millisecond)
	defer pause.Stop()
	testkit.WaitFor(t, "the snapshot says that A was seen", func() bool {
		select {
		case <-pause.C:
			published = append(published, fmt.Sprintf("B%d", len(published)))
			publish(published[len(published)-1])
		default:
		}
		return eventClock(t, snapshot) >= clock
	})
	return published
}

// eventClock is the last event clock in a snapshot of serf's.
func eventClock(t *testing.T, snapshot string) (clock uint64) {
	t.Helper()
	text, err := os.ReadFile(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, "event-clock: "); ok {
			if n, err := strconv.ParseUint(strings.TrimSpace(v), 10, 64); err == nil { // the last line may not be whole
				clock = n
			}
		}
	}
	return clock
}

// oursUntaken tells whether A came to the gateway in the next life, and with it
// all that was published while the disk was full.
func oursUntaken(t *testing.T) bool {
	disk := t.TempDir()
	fs := smallfs.Mount(t, disk)
	if fs == nil {
		testkit.NotRun(t, "it needs Linux, and root that may mount a file system, to fill it")
	}
	publisher := newDurable(t, "publisher")
	publisher.start(t)
	snapshot := filepath.Join(t.TempDir(), "snapshot")
	d := newDurable(t, "ours", "-snapshot="+snapshot, "-retry-join="+publisher.gossip)
	d.data = filepath.Join(disk, "data")
	d.start(t)
	testkit.WaitFor(t, "both know each other", func() bool { return proc.Alive(t, d.Node) == 2 && proc.Alive(t, publisher.Node) == 2 })
	d.gw.Refuse()
	fs.Fill()
	// A commit fits into pages that the file has until these are used up.
	before := degrade(t, d, proc.NewPublisher(t, publisher.Node))
	published := append(before, seen(t, publisher, snapshot)...)
	if proc.JournalMetric(t, d.Node, "degraded") != 1 {
		t.Fatal("the journal is well although its disk is full")
	}
	d.mustDie(t)
	fs.Grow()
	if err := d.gw.Answer(200); err != nil {
		t.Fatal(err)
	}
	d.start(t)
	return testkit.Poll(func() bool { return len(missing(d.gw, published)) == 0 })
}

// stockUntaken tells whether A came to the script in the next life. Its handler
// writes down an event and then hangs until it may go on, or its agent is dead:
// nobody else ends a script, and it would outlive the test.
func stockUntaken(t *testing.T) bool {
	publisher := newDurable(t, "publisher")
	publisher.start(t)
	dir := t.TempDir()
	snapshot, handled, goOn := filepath.Join(dir, "snapshot"), filepath.Join(dir, "handled"), filepath.Join(dir, "go-on")
	gossip := loopback.Addr()
	flags := []string{"-snapshot=" + snapshot, "-bind=" + gossip, "-join=" + publisher.gossip, "-replay",
		fmt.Sprintf("-event-handler=user:kong={ cat; echo; } >>%s; while [ ! -e %s ] && kill -0 $PPID; do sleep 0.1; done", handled, goOn)}
	has := func(payload string) func() bool {
		return func() bool {
			text, _ := os.ReadFile(handled) // not there before the first event
			return strings.Contains(string(text), payload+"\n")
		}
	}
	n := proc.NewStock(t, "stock", stock.V011, flags...)
	testkit.WaitFor(t, "both know each other", func() bool { return proc.Alive(t, n) == 2 && proc.Alive(t, publisher.Node) == 2 })
	publish := proc.NewPublisher(t, publisher.Node)
	publish("busy")
	testkit.WaitFor(t, "the script is busy", has("busy"))
	seen(t, publisher, snapshot)
	n.Kill()
	if err := os.WriteFile(goOn, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// Twice: the first may share its Lamport time with the last event before the
	// kill, and serf's snapshot takes all of that time for seen. Equal events
	// never share one.
	publish("meanwhile")
	publish("meanwhile")
	proc.NewStock(t, "stock", stock.V011, flags...)
	// The cluster sends again in the order of Lamport times, and the script
	// handles one event after the other: if A comes it does so before this.
	testkit.WaitFor(t, "the script has handled what was published while its agent was down", has("meanwhile"))
	// Both of them, or the second would run on while its folder is removed.
	publish("last")
	testkit.WaitFor(t, "the script is done", has("last"))
	return has("A")()
}
