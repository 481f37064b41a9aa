package agent

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/agent/config"
	"agentctl/handler/journal/disk"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"

	"github.com/hashicorp/serf/serf"
)

// atOnce has an agent end as one that is called as serf.
func atOnce(o *config.Options) { o.DrainTimeout, o.LeaveOnTerm = 0, false }

// Only an end that somebody asked for leaves the cluster. After any other the others see
// the node fail, so they go on to look for it, and its snapshot still knows them.
func TestOnlyAnEndThatWasAskedForLeaves(t *testing.T) {
	lonely := func(o *config.Options) {
		o.RetryJoin, o.RetryMaxAttempts, o.RetryInterval = []string{memory.Addr()}, 1, time.Minute
	}
	for name, tt := range map[string]struct {
		change func(*config.Options)
		end    func(t *testing.T, n *node)
		leaves bool
	}{
		"a signal": {end: func(_ *testing.T, n *node) { n.end(nil) }, leaves: true},
		"an RPC client": {end: func(t *testing.T, n *node) {
			if err := n.Leave(); err != nil {
				t.Error(err)
			}
			n.Shutdown()
		}, leaves: true},
		"a signal without a leave":     {end: func(_ *testing.T, n *node) { n.end(ErrNoLeave) }},
		"no node to join":              {change: lonely},
		"the operations endpoint ends": {change: serveHTTP, end: func(_ *testing.T, n *node) { n.ops.Close() }},
		"the RPC server ends":          {end: func(_ *testing.T, n *node) { n.ports.RPC.Close() }},
		"the journal fails": {end: func(t *testing.T, n *node) {
			n.journal.Close()
			n.Publish(t.Context(), "e", nil, false) // serf takes it, the journal does not
		}},
		"serf ends": {end: func(_ *testing.T, n *node) { n.serf.Shutdown() }},
	} {
		for _, way := range []func(*config.Options){atOnce, func(o *config.Options) { o.DrainTimeout = time.Minute }} {
			bubble(t, func(t *testing.T) {
				snapshot := filepath.Join(t.TempDir(), "snapshot")
				changes := []func(*config.Options){way, func(o *config.Options) { o.SnapshotPath = snapshot }}
				if tt.change != nil {
					changes = append(changes, tt.change)
				}
				a, b := start(t, changes...), start(t)
				join(t, b, a)
				time.Sleep(2 * time.Second) // the snapshot is written half a second later
				if tt.end != nil {
					tt.end(t, a)
				}
				a.stopped(t)
				if err := a.Close(); err != nil { // as the process exits
					t.Error(err)
				}
				want := "failed"
				if tt.leaves {
					want = "left"
				}
				testkit.WaitFor(t, name+": the other node sees it as "+want, func() bool { return b.sees(a) == want })
				data, err := os.ReadFile(snapshot)
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(string(data), "alive: "+b.opts.NodeName) || strings.Contains(string(data), "leave\n") != tt.leaves {
					t.Errorf("%s: the snapshot has\n%s", name, data)
				}
			})
		}
	}
}

// A failed -join is an end that nobody asked for, too: the snapshot stays.
func TestFailedJoinKeepsTheSnapshot(t *testing.T) {
	for _, way := range []func(*config.Options){atOnce, func(*config.Options) {}} {
		bubble(t, func(t *testing.T) {
			snapshot := filepath.Join(t.TempDir(), "snapshot")
			const known = "alive: somebody 10.9.9.9:7946\nclock: 7\n"
			if err := os.WriteFile(snapshot, []byte(known), 0o600); err != nil {
				t.Fatal(err)
			}
			a := start(t, way, func(o *config.Options) { o.SnapshotPath, o.StartJoin = snapshot, []string{memory.Addr()} })
			if err := a.stopped(t); err == nil || !strings.HasPrefix(err.Error(), "join: ") {
				t.Errorf("Run: %v", err)
			}
			a.Close()
			data, err := os.ReadFile(snapshot)
			if err != nil || !strings.HasPrefix(string(data), known) || strings.Contains(string(data), "leave\n") {
				t.Errorf("the snapshot has\n%s%v", data, err)
			}
		})
	}
}

// slowDisk is a journal's file on a disk that takes its time.
type slowDisk struct {
	keeper
	lastCommit, sync time.Duration
	synced           *int
	degraded         bool
}

func (d slowDisk) Status() disk.Status {
	return disk.Status{Degraded: d.degraded}
}

func (d slowDisk) LastCommit() time.Duration { return d.lastCommit }

func (d slowDisk) Sync(ctx context.Context) error {
	*d.synced++
	select {
	case <-time.After(d.sync):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// What waits for gateways and scripts, and how slow the disk is, does not hold up an
// end at once. A disk gets 10 ms, and none at all if its last commit took longer.
func TestEndAtOnceWaitsForNobody(t *testing.T) {
	const quick, slow = time.Millisecond, 200 * time.Millisecond
	for name, tt := range map[string]struct {
		disk  *slowDisk // nil: the journal is in memory
		syncs int
		takes time.Duration
	}{
		"memory":              {takes: 0},
		"a quick disk":        {&slowDisk{lastCommit: quick, sync: quick}, 1, quick},
		"a disk turned slow":  {&slowDisk{lastCommit: quick, sync: slow}, 1, lastMoment},
		"a slow disk":         {&slowDisk{lastCommit: slow, sync: slow}, 0, 0},
		"a disk that is full": {&slowDisk{degraded: true}, 0, 0},
	} {
		bubble(t, func(t *testing.T) {
			gw := memory.NewGateway(t)
			busy := memory.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", "300")
				w.WriteHeader(http.StatusServiceUnavailable)
			})
			release := make(chan struct{})
			hangs := memory.Serve(t, func(http.ResponseWriter, *http.Request) { <-release })
			t.Cleanup(func() { close(release) })
			nobody := "http://" + memory.Addr() + "/"
			gw.Down.Store(true)
			hub, buf := newHub(t)
			inner, err := newOn(t, compiled(t, options(atOnce, handlers("user="+gw.URL, "user="+busy.URL, "user="+hangs.URL, "user="+nobody, "user=true"), func(o *config.Options) {
				if tt.disk != nil {
					o.DataDir = t.TempDir()
				}
			})), hub, Hooks{})
			if err != nil {
				t.Fatal(err)
			}
			hangScript(t, inner)
			syncs := 0
			if tt.disk != nil {
				tt.disk.keeper, tt.disk.synced = inner.disk, &syncs
				inner.disk = tt.disk
			}
			a := run(t, inner, buf)
			for range 3 {
				if err := a.Publish(t.Context(), "e", []byte("p"), false); err != nil {
					t.Fatal(err)
				}
			}
			testkit.WaitFor(t, "an attempt at each target", func() bool {
				tried := 0
				for _, s := range a.Targets() {
					if s.InFlight > 0 {
						tried++
					}
				}
				return tried == 4
			})
			time.Sleep(time.Second)
			began := time.Now()
			a.end(ErrNoLeave)
			if err := a.stopped(t); err != ErrNoLeave {
				t.Errorf("%s: %v", name, err)
			}
			if took := time.Since(began); took != tt.takes {
				t.Errorf("%s: the end took %v, want %v", name, took, tt.takes)
			}
			testkit.Want(t, name+": syncs begun", syncs, tt.syncs)
			a.hub.Close()
			if tt.disk == nil && a.log.Count("events were not delivered before the end", "waiting=3") != 4 {
				t.Error("what was lost is not told")
			}
			if n := a.log.Count("events were not handled before the end", "waiting=2"); n != 1 {
				t.Errorf("%d lines tell what the script has not had, want 1", n)
			}
		})
	}
}

// What waits at an end at once is in the journal's file, up to the last event: one commit
// is made, on a disk that is quick. The next start delivers it.
func TestEndAtOnceKeepsWhatWaits(t *testing.T) {
	for name, cause := range map[string]error{"SIGTERM": ErrNoLeave, "a leave": nil} {
		bubble(t, func(t *testing.T) {
			gw := memory.NewGateway(t)
			opts := []func(*config.Options){atOnce, in(t.TempDir()), named("kept"), handlers("user=" + gw.URL)}
			gw.Down.Store(true)
			a := start(t, opts...)
			var want []string
			for i := range 5 {
				want = append(want, fmt.Sprint(i))
				publishTo(t, a, want[i])
				if i == 0 {
					synctest.Wait() // its commit is over, and the pause behind that is not
				}
			}
			a.end(cause)
			if err := a.stopped(t); err != cause {
				t.Errorf("%s: Run: %v", name, err)
			}
			if err := a.Close(); err != nil {
				t.Error(err)
			}
			gw.Down.Store(false)
			start(t, opts...)
			testkit.WaitFor(t, name+": all posts", func() bool { return len(gw.Of("user")) >= len(want) })
			testkit.Want(t, name+": posted", bodies(gw.Of("user")), want)
		})
	}
}

// A node that is alone has nobody to tell: its leave takes no time, in both ways to end.
func TestLeaveOfALoneNode(t *testing.T) {
	for _, way := range []func(*config.Options){atOnce, func(*config.Options) {}} {
		bubble(t, func(t *testing.T) {
			a := start(t, way)
			began := time.Now()
			if err := a.Leave(); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took > 0 {
				t.Errorf("it took %v", took)
			}
			again := a.Leave() // of another client
			if again != nil {
				t.Error(again)
			}
			select {
			case <-a.done:
				t.Error("it ended before the client had its answer")
			default:
			}
			a.Shutdown()
			if err := a.stopped(t); err != nil {
				t.Error(err)
			}
		})
	}
}

// With others there, agentctl goes on to answer their probes for a second, and serf does
// not, as up to 0.8.1.
func TestLeaveAnswersProbes(t *testing.T) {
	for _, way := range []func(*config.Options){atOnce, func(*config.Options) {}} {
		bubble(t, func(t *testing.T) {
			a, b := start(t, way), start(t)
			join(t, a, b)
			began := time.Now()
			if err := a.Leave(); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); (took > time.Second) == a.opts.EndsAtOnce() {
				t.Errorf("at once: %v; the leave took %v", a.opts.EndsAtOnce(), took)
			}
			if s := b.sees(a); s != "left" {
				t.Errorf("the other node sees this one as %s", s)
			}
		})
	}
}

// A full sync in the middle of a leave does not make a failure of it.
func TestALeaveBesideFullSyncs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := start(t), start(t)
		join(t, a, b)
		left := make(chan error, 1)
		go func() { left <- a.Leave() }()
		testkit.WaitFor(t, "the leave to begin", func() bool { return a.serf.State() != serf.SerfAlive })
		b.serf.Join([]string{a.GossipAddr()}, true) // a full sync, both ways
		must(t, <-left)
		testkit.Want(t, "how the other sees it", b.sees(a), "left")
	})
}

// What was published right before a leave is with the others when it is answered, and
// the journal's file has what this node took.
func TestLeaveFlushes(t *testing.T) {
	for _, links := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			memory.Delay(t, 10*time.Millisecond, 20*time.Millisecond)
			dir := t.TempDir()
			gw := memory.NewGateway(t)
			a := start(t, atOnce, func(o *config.Options) { o.DataDir, o.PeerLinks, o.Profile = dir, links, "wan" })
			b := start(t, handlers("user="+gw.URL), func(o *config.Options) { o.Profile = "wan" })
			join(t, a, b)
			time.Sleep(time.Minute)
			const events = 300
			for i := range events {
				if err := a.Publish(t.Context(), "e", []byte{byte(i), byte(i >> 8)}, false); err != nil {
					t.Fatal(err)
				}
			}
			began := time.Now()
			if err := a.Leave(); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("the leave took %v", took)
			}
			if s := b.Targets()[0]; int(s.Delivered)+s.Waiting != events {
				t.Errorf("when the leave is answered, the other node has %d of %d events", int(s.Delivered)+s.Waiting, events)
			}
			if s := b.sees(a); s != "left" {
				t.Errorf("when the leave is answered, the other node sees this one as %s", s)
			}
			a.Shutdown()
			if err := a.stopped(t); err != nil {
				t.Error(err)
			}
			if s := a.disk.Status(); s.Durable < events {
				t.Errorf("the journal's file has %d of %d events", s.Durable, events)
			}
		})
	}
}
