package agent

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/config"
	"agentctl/agent/gossip"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// stream is what scripts and RPC streams get of user events.
type stream struct {
	mu  sync.Mutex
	got []string
}

func (s *stream) payloads() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

// startStreaming starts an agent that is watched from its very beginning.
func startStreaming(t *testing.T, change ...func(*config.Options)) (*node, *stream) {
	t.Helper()
	hub, buf := newHub(t)
	a, err := newOn(t, compiled(t, options(change...)), hub, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	s := new(stream)
	a.intake.Subscribe(func(e serf.Event) {
		if u, ok := e.(serf.UserEvent); ok {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.got = append(s.got, string(u.Payload))
		}
	})
	return run(t, a, buf), s
}

// Scripts and streams get nothing from before the join without a replay, nothing that
// is not newer than the snapshot, and nothing a second time after a restart. Targets
// get all that they may lack. Peers with links change nothing about the former.
func TestTheTwoRulesForThePast(t *testing.T) {
	type life struct {
		name    string
		before  bool // a life before this one, which had "seen"
		journal bool // kept from it
		moved   bool // but for the journal itself
		leave   bool // its end
		replay  bool
		join    bool // by a flag
		stream  []string
		targets []string // sorted
	}
	lives := []life{
		{name: "new", join: true, stream: []string{"new"}, targets: []string{"new"}},
		{name: "new with replay", join: true, replay: true, stream: []string{"seen", "missed", "new"}, targets: []string{"missed", "new", "seen"}},
		{name: "restart without a journal", before: true, join: true, stream: []string{"new"}, targets: []string{"new"}},
		{name: "restart with a journal", before: true, journal: true, join: true, stream: []string{"new"}, targets: []string{"missed", "new"}},
		{name: "restart with a journal by the snapshot", before: true, journal: true, stream: []string{"missed", "new"}, targets: []string{"missed", "new"}},
		{name: "restart with a journal and replay", before: true, journal: true, join: true, replay: true, stream: []string{"missed", "new"}, targets: []string{"missed", "new"}},
		{name: "restart after a leave", before: true, journal: true, leave: true, join: true, stream: []string{"new"}, targets: []string{"missed", "new"}},
		{name: "moved snapshot", before: true, journal: true, moved: true, join: true, stream: []string{"new"}, targets: []string{"missed", "new", "seen"}},
	}
	for _, links := range []bool{true, false} {
		for _, l := range lives {
			t.Run(l.name+map[bool]string{true: " beside peers", false: ""}[links], func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					gw, dir := memory.NewGateway(t), t.TempDir()
					of := func(o *config.Options) { o.PeerLinks = links }
					other, third := start(t, of), start(t, of)
					join(t, other, third)
					opts := []func(*config.Options){of, named("watched"), bind(memory.Addr()), handlers("user:kong=" + gw.URL)}
					if l.journal {
						opts = append(opts, in(dir))
					}
					pause := func() { time.Sleep(time.Minute); synctest.Wait() } // beyond gossip and repair's view back
					if l.before {
						n, s := startStreaming(t, opts...)
						join(t, other, third, n)
						publishTo(t, other, "seen")
						pause()
						want := []string{"seen"}
						if diff := cmp.Diff(want, s.payloads()) + cmp.Diff(want, bodies(gw.Of("user"))); diff != "" {
							t.Fatalf("in its first life (-want +got):\n%s", diff)
						}
						opts = append(opts, bind(n.GossipAddr()))
						if l.leave {
							n.end(nil)
							n.stopped(t)
						} else {
							n.crash(t)
						}
						if l.moved {
							if err := os.Remove(filepath.Join(dir, "journal.db")); err != nil {
								t.Fatal(err)
							}
						}
					} else {
						publishTo(t, other, "seen")
						pause()
					}
					posted := len(gw.Of("user"))
					publishTo(t, other, "missed")
					pause()
					opts = append(opts, func(o *config.Options) {
						if o.ReplayOnJoin = l.replay; l.join {
							o.StartJoin = []string{other.GossipAddr()}
						}
					})
					if l.join && l.journal {
						// Serf's own rejoining would come before the join at times.
						forgetMembers(t, filepath.Join(dir, config.SnapshotFile))
					}
					n, s := startStreaming(t, opts...)
					testkit.WaitFor(t, "it to be a member", func() bool { return n.countMembers("alive") == 3 && other.sees(n) == "alive" })
					time.Sleep(5 * time.Second) // repair's first round
					publishTo(t, other, "new")
					pause()
					if diff := cmp.Diff(l.stream, s.payloads()); diff != "" {
						t.Errorf("scripts and streams (-want +got):\n%s", diff)
					}
					got := bodies(gw.Of("user"))[posted:]
					slices.Sort(got)
					if diff := cmp.Diff(l.targets, got); diff != "" {
						t.Errorf("targets (-want +got):\n%s", diff)
					}
				})
			})
		}
	}
}

// forgetMembers takes the members out of a snapshot of serf's, and leaves the clocks.
func forgetMembers(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var kept []byte
	for line := range bytes.Lines(data) {
		if !bytes.HasPrefix(line, []byte("alive:")) {
			kept = append(kept, line...)
		}
	}
	if err := os.WriteFile(path, kept, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A node that has let go of most of its history gets nothing again: neither by the
// full syncs of other members, nor after a restart.
func TestNothingComesAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw, dir := memory.NewGateway(t), t.TempDir()
		other := start(t)
		opts := []func(*config.Options){in(dir), named("trims"), bind(memory.Addr()), handlers("user:kong=" + gw.URL),
			func(o *config.Options) { o.JournalMaxEvents = 5 }}
		n := start(t, opts...)
		join(t, other, n)
		var want []string
		for i := range 40 {
			want = append(want, fmt.Sprint(i))
			publishTo(t, other, want[i])
			time.Sleep(10 * time.Millisecond) // for a Lamport time of its own
		}
		time.Sleep(10 * time.Minute)
		opts = append(opts, bind(n.GossipAddr()), func(o *config.Options) { o.StartJoin = []string{other.GossipAddr()} })
		n.crash(t)
		want = append(want, "missed")
		publishTo(t, other, "missed")
		start(t, opts...)
		time.Sleep(10 * time.Minute)
		if diff := cmp.Diff(want, bodies(gw.Of("user"))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// Serf drops an event that is more than 512 Lamport times behind, but this node has
// it: targets get it, scripts and streams do not.
func TestAnEventThatSerfFindsTooOld(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		n, s := startStreaming(t, handlers("user:kong="+gw.URL))
		other := bareSerf(t, "other")
		if _, err := other.Join([]string{n.GossipAddr()}, false); err != nil {
			t.Fatal(err)
		}
		publishTo(t, n, "first")
		n.serf.Witness(5000)
		m := gossip.Message{LTime: 2, Name: "kong", Payload: []byte("late")}
		raw, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Memberlist().SendReliable(n.serf.Memberlist().LocalNode(), raw); err != nil {
			t.Fatal(err)
		}
		testkit.WaitFor(t, "both posts", func() bool { return len(gw.Of("user")) == 2 })
		publishTo(t, n, "last")
		testkit.WaitFor(t, "the last one", func() bool { return len(gw.Of("user")) == 3 })
		want := []string{"first", "late", "last"}
		if diff := cmp.Diff(want, bodies(gw.Of("user"))); diff != "" {
			t.Errorf("targets (-want +got):\n%s", diff)
		}
		testkit.WaitFor(t, "the stream to have the last one", func() bool { return slices.Contains(s.payloads(), "last") })
		if diff := cmp.Diff([]string{"first", "last"}, s.payloads()); diff != "" {
			t.Errorf("scripts and streams (-want +got):\n%s", diff)
		}
	})
}
