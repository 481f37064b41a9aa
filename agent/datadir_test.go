package agent

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"agentctl/agent/config"
	"agentctl/handler"
	"agentctl/handler/delivery"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// in sets the data directory.
func in(dir string) func(*config.Options) { return func(o *config.Options) { o.DataDir = dir } }

// named keeps a node's name across its lives.
func named(name string) func(*config.Options) { return func(o *config.Options) { o.NodeName = name } }

// crash ends an agent as far as the cluster can see. What its journal was told
// is written all the same: see the process tests for an end without that.
func (n *node) crash(t *testing.T) {
	t.Helper()
	n.end(ErrNoLeave)
	n.stopped(t)
}

func publishTo(t *testing.T, n *node, payloads ...string) {
	t.Helper()
	for _, p := range payloads {
		if err := n.Publish(t.Context(), "kong", []byte(p), false); err != nil {
			t.Fatal(err)
		}
	}
}

func bodies(posts []testkit.Post) (out []string) {
	for _, p := range posts {
		out = append(out, p.Body)
	}
	return out
}

func TestWhatWaitsOutlivesTheAgent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw, dir := memory.NewGateway(t), filepath.Join(t.TempDir(), "new")
		gw.Down.Store(true)
		opts := []func(*config.Options){in(dir), named("keeper"), handlers("user:kong=" + gw.URL)}
		n := start(t, opts...)
		publishTo(t, n, "1", "2", "3")
		testkit.WaitFor(t, "an attempt", func() bool { return gw.Attempts() > 0 })
		n.crash(t)
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("the data directory: %v, %v", info, err)
		}
		gw.Down.Store(false)
		n = start(t, opts...)
		testkit.WaitFor(t, "all posts", func() bool { return len(gw.Of("user")) == 3 })
		if diff := cmp.Diff([]string{"1", "2", "3"}, bodies(gw.Of("user"))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		// A node alone begins its clock behind what it published before: the same
		// payload is a new event.
		publishTo(t, n, "3")
		testkit.WaitFor(t, "the new event", func() bool { return len(gw.Of("user")) == 4 })
		posts := gw.Of("user")
		if posts[2].ID == posts[3].ID {
			t.Errorf("two events have the ID %s", posts[3].ID)
		}
	})
}

// After a leave serf's snapshot begins anew; the journal's clock does not.
func TestTheClockOutlivesALeave(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw, dir := memory.NewGateway(t), t.TempDir()
		opts := []func(*config.Options){in(dir), named("leaver"), handlers("user:kong=" + gw.URL)}
		for life := range 3 {
			n := start(t, opts...)
			publishTo(t, n, "same")
			testkit.WaitFor(t, "the post", func() bool { return len(gw.Of("user")) == life+1 })
			n.end(nil)
			if err := n.stopped(t); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// The others have been started anew, and their clock with them: what is
// published here now is no copy of what was published before.
func TestTheClockOutlivesTheCluster(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw, dir := memory.NewGateway(t), t.TempDir()
		opts := []func(*config.Options){in(dir), named("survivor"), handlers("user:kong=" + gw.URL)}
		n := start(t, opts...)
		publishTo(t, n, "same")
		testkit.WaitFor(t, "the first post", func() bool { return len(gw.Of("user")) == 1 })
		n.crash(t)
		n = start(t, opts...)
		join(t, n, start(t))
		publishTo(t, n, "same")
		testkit.WaitFor(t, "the second post", func() bool { return len(gw.Of("user")) == 2 })
	})
}

// The other node has no links, as a stock one: it is serf that sends again what
// was missed.
func TestWhatWasMissedIsTakenInOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw, dir := memory.NewGateway(t), t.TempDir()
		other := start(t, func(o *config.Options) { o.PeerLinks = false })
		opts := []func(*config.Options){in(dir), named("away"), bind(memory.Addr()), handlers("user:kong=" + gw.URL)}
		n := start(t, opts...)
		join(t, other, n)
		// The cluster does not take a name at another address for the same node.
		addr := n.GossipAddr()
		opts = append(opts, func(o *config.Options) { o.Bind = addr })
		var want []string
		for i := range 20 {
			want = append(want, fmt.Sprint(i))
		}
		publishTo(t, other, want[:10]...)
		testkit.WaitFor(t, "the first posts", func() bool { return len(gw.Of("user")) == 10 })
		n.crash(t)
		publishTo(t, other, want[10:]...)
		n = start(t, append(slices.Clone(opts), func(o *config.Options) { o.RetryJoin = []string{other.GossipAddr()} })...)
		testkit.WaitFor(t, "the rest", func() bool { return len(gw.Of("user")) >= 20 })
		publishTo(t, other, "end")
		testkit.WaitFor(t, "the end", func() bool { return slices.Contains(bodies(gw.Of("user")), "end") })
		got := bodies(gw.Of("user"))
		slices.Sort(got)
		want = append(want, "end")
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("each once (-want +got):\n%s", diff)
		}
		// The snapshot knows the other: no join had to be asked for.
		n.crash(t)
		n = start(t, opts...)
		testkit.WaitFor(t, "the rejoin", func() bool { return n.countMembers("alive") == 2 })
	})
}

// Without links, since repair looks a few seconds further back than to when a
// node was new.
func TestANewNodeTakesInNoHistory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		other, third := start(t), start(t)
		join(t, other, third)
		publishTo(t, other, "old")
		// Once it is gossiped no more, only the full sync of a join can bring it.
		for _, n := range []*node{other, third} {
			testkit.WaitFor(t, "it to be gossiped to its end", func() bool {
				s := n.serf.Stats()
				return s["event_queue"] == "0" && s["event_time"] == other.serf.Stats()["event_time"]
			})
		}
		n := start(t, in(t.TempDir()), handlers("user:kong="+gw.URL), func(o *config.Options) { o.PeerLinks = false })
		join(t, other, third, n)
		publishTo(t, other, "new")
		testkit.WaitFor(t, "the new event", func() bool { return len(gw.Of("user")) > 0 })
		if diff := cmp.Diff([]string{"new"}, bodies(gw.Of("user"))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestOneAgentForADataDirectory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		dir := t.TempDir()
		start(t, in(dir))
		hub, _ := newHub(t)
		_, err := newOn(t, compiled(t, options(in(dir))), hub, Hooks{})
		if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) || !strings.Contains(err.Error(), "data-dir") {
			t.Errorf("error %v, want one that names the directory and its holder", err)
		}
	})
}

func TestADamagedJournalIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "journal.db")
		if err := os.WriteFile(path, []byte("not a journal"), 0o600); err != nil {
			t.Fatal(err)
		}
		hub, _ := newHub(t)
		_, err := newOn(t, compiled(t, options(in(dir))), hub, Hooks{})
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "agentctl check -data-dir="+dir) {
			t.Errorf("error %v, want one that names the file and the next step", err)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != "not a journal" {
			t.Errorf("the file is now %q, %v", data, err)
		}
	})
}

// What waited in a journal that was moved away is not known: the gateway is
// flushed, and peers send again what they have.
func TestAJournalThatWasMovedAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw, dir := memory.NewGateway(t), t.TempDir()
		other := start(t)
		opts := []func(*config.Options){in(dir), named("bereft"), bind(memory.Addr()), func(o *config.Options) { o.EventHandlers, o.Gateway = nil, gw.URL }}
		n := start(t, opts...)
		join(t, other, n)
		addr := n.GossipAddr()
		publishTo(t, other, "1")
		testkit.WaitFor(t, "the post", func() bool { return len(gw.Of("user")) == 1 })
		if s := n.Targets()[0]; s.Flushes != 0 || n.past.bereft {
			t.Errorf("a new node is flushed: %+v", s)
		}
		gw.Down.Store(true)
		publishTo(t, other, "waits")
		testkit.WaitFor(t, "it to wait", func() bool { return n.Targets()[0].Waiting == 1 })
		n.crash(t)
		if err := os.Rename(filepath.Join(dir, "journal.db"), filepath.Join(dir, "damaged.db")); err != nil {
			t.Fatal(err)
		}
		gw.Down.Store(false)
		n = start(t, append(slices.Clone(opts), func(o *config.Options) { o.Bind = addr })...) // joins by its snapshot
		testkit.WaitFor(t, "the flush", func() bool { return n.Targets()[0].Flushes == 1 && n.Targets()[0].State == delivery.StateOK })
		testkit.WaitFor(t, "what waited", func() bool { return slices.Contains(bodies(gw.Of("user")), "waits") })
		testkit.WaitFor(t, "the warning", func() bool { return n.log.Count("level=ERR", "the journal is new") == 1 })
		n.crash(t)
		n = start(t, opts...)
		if s := n.Targets()[0]; n.past.bereft || !s.GapSince.IsZero() {
			t.Errorf("and again at the next start: %+v", s)
		}
	})
}

func TestKeysAreKeptInTheDataDirectory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const first, second = "cGFzc3dvcmRwYXNzd29yZA==", "d29yZHBhc3N3b3JkcGFzcw=="
		dir := t.TempDir()
		keys := func() (out []string) {
			t.Helper()
			data, err := os.ReadFile(filepath.Join(dir, "serf.keyring"))
			if err == nil {
				err = json.Unmarshal(data, &out)
			}
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		opts := []func(*config.Options){in(dir), named("rotating"), func(o *config.Options) { o.EncryptKey = first }}
		n := start(t, opts...)
		if diff := cmp.Diff([]string{first}, keys()); diff != "" {
			t.Errorf("at first (-want +got):\n%s", diff)
		}
		for _, step := range []func() error{
			func() error { _, err := n.keys().InstallKey(second); return err },
			func() error { _, err := n.keys().UseKey(second); return err },
			func() error { _, err := n.keys().RemoveKey(first); return err },
		} {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		n.crash(t)
		n = start(t, opts...)
		testkit.WaitFor(t, "the warning", func() bool { return n.log.Count("level=WARN", "the keys in the data directory are used") == 1 })
		resp, err := n.keys().ListKeys()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]int{second: 1}, resp.Keys); diff != "" {
			t.Errorf("after a restart (-want +got):\n%s", diff)
		}
		n.crash(t)
		if n = start(t, in(dir)); !n.Encrypted() {
			t.Error("without -encrypt the kept keys are not used")
		}
	})
}

func TestMemberEventsOfAnEarlierLife(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := start(t)
		ctx := t.Context()
		line := func(name string) []byte { return handler.MemberLine(name, "127.0.0.1", "", nil) }
		here := line(n.opts.NodeName)
		other := start(t)
		join(t, other, n)
		var own string // the ID of a member event of this process
		testkit.WaitFor(t, "a join in the journal", func() bool {
			for rec := range n.journal.Events(0) {
				if rec.Event.Type == handler.MemberJoin {
					own = rec.Event.ID
				}
			}
			return own != ""
		})
		for name, c := range map[string]struct {
			typ     handler.Type
			id      string
			payload []byte
			want    string
		}{
			"of this life":             {handler.MemberFailed, own + "7", here, string(here)},
			"a join":                   {handler.MemberJoin, "m-old-1", here, ""},
			"an update":                {handler.MemberUpdate, "m-old-2", here, ""},
			"failed, and back":         {handler.MemberFailed, "m-old-3", here, ""},
			"failed, and gone":         {handler.MemberFailed, "m-old-4", line("gone"), string(line("gone"))},
			"left, and gone":           {handler.MemberLeave, "m-old-5", line("gone"), string(line("gone"))},
			"one of two is here again": {handler.MemberReap, "m-old-6", append(slices.Clone(here), line("gone")...), string(line("gone"))},
		} {
			e, ok := n.stillTrue(ctx, handler.NewMember(c.typ, c.id, c.payload, n.intake.Began()))
			if ok != (c.want != "") || ok && string(e.Payload) != c.want {
				t.Errorf("%s: %q, %v, want %q", name, e.Payload, ok, c.want)
			}
		}
	})
}
