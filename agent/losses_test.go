package agent

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"agentctl/agent/config"
	"agentctl/agent/logs"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// quiet is an agent whose log has Kong's level.
func quiet(t *testing.T, change ...func(*config.Options)) *node {
	t.Helper()
	buf := new(testkit.LogBuffer)
	hub := logs.New(logs.Config{Out: buf, Level: slog.LevelError})
	t.Cleanup(hub.Close)
	a, err := newOn(t, compiled(t, options(change...)), hub, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	return run(t, a, buf)
}

// posting sets a target for all user events.
func posting(opts config.TargetOptions) func(*config.Options) {
	opts.Name, opts.Events = "gw", "user"
	return func(o *config.Options) { o.EventHandlers, o.Targets = nil, []config.TargetOptions{opts} }
}

// TestLogAtKongsLevel has an agent that logs nothing below level err fail its gateway
// for a while, and lose events in each way: the log says so, and says nothing where
// all goes well. Package script has a script that is too slow, package intake a
// journal, and package delivery how often a line comes.
func TestLogAtKongsLevel(t *testing.T) {
	down := func(t *testing.T) *testkit.Gateway {
		gw := memory.NewGateway(t)
		gw.Down.Store(true)
		return gw
	}
	for name, kind := range map[string]struct {
		lose func(t *testing.T) *node
		want []string // in one line
	}{
		"a gateway that fails": {func(t *testing.T) *node {
			n := quiet(t, posting(config.TargetOptions{URL: down(t).URL}))
			publishTo(t, n, "1")
			return n
		}, []string{"target has failed for a while", "target=gw", "failing_for=30s", "waiting=1"}},
		"too many wait": {func(t *testing.T) *node {
			n := quiet(t, posting(config.TargetOptions{URL: down(t).URL}), func(o *config.Options) { o.QueueMaxEvents = 2 })
			publishTo(t, n, "1", "2", "3", "4")
			return n
		}, []string{"this target lacks events", "target=gw", "lost="}},
		"one waits for too long": {func(t *testing.T) *node {
			gw := down(t)
			n := quiet(t, posting(config.TargetOptions{URL: gw.URL, MaxAge: 2 * time.Second}))
			publishTo(t, n, "1", "2")
			time.Sleep(10 * time.Second)
			gw.Down.Store(false) // it is given up when its turn comes
			return n
		}, []string{"this target lacks events", "target=gw", "expired_total=1"}},
		"refused": {func(t *testing.T) *node {
			n := quiet(t, posting(config.TargetOptions{URL: refusing(t)}))
			publishTo(t, n, "1")
			return n
		}, []string{"target refused an event for good", "target=gw", "status=400"}},
		"a journal begun anew": {func(t *testing.T) *node {
			dir, gw := t.TempDir(), down(t)
			opts := []func(*config.Options){in(dir), named("anew"), bind(memory.Addr()), posting(config.TargetOptions{URL: gw.URL})}
			n := quiet(t, opts...)
			publishTo(t, n, "1")
			n.crash(t)
			if err := os.Remove(filepath.Join(dir, "journal.db")); err != nil {
				t.Fatal(err)
			}
			return quiet(t, opts...)
		}, []string{"the journal is new, and this node is not"}},
		"a gap of such a journal": {func(t *testing.T) *node {
			dir, gw := t.TempDir(), down(t)
			opts := []func(*config.Options){in(dir), named("anew"), bind(memory.Addr()), posting(config.TargetOptions{URL: gw.URL})}
			quiet(t, opts...).crash(t)
			if err := os.Remove(filepath.Join(dir, "journal.db")); err != nil {
				t.Fatal(err)
			}
			return quiet(t, opts...)
		}, []string{"this target lacks events", "target=gw", noJournal}},
		"a large event": {func(t *testing.T) *node {
			n := quiet(t, posting(config.TargetOptions{URL: down(t).URL}), func(o *config.Options) { o.PeerLinks = false })
			other := start(t, largest)
			join(t, n, other)
			publishTo(t, other, noise(60_000))
			return n
		}, []string{"a large event is lost to this node", "event=kong"}},
		"a target taken away": {func(t *testing.T) *node {
			dir := t.TempDir()
			n := quiet(t, in(dir), posting(config.TargetOptions{URL: down(t).URL}))
			publishTo(t, n, "1", "2")
			n.crash(t)
			return quiet(t, in(dir), func(o *config.Options) { o.JournalMaxAge = 2 * time.Second })
		}, []string{"a target is not served any more", "target=gw", "dropped=2"}},
		"the end, without a file": {func(t *testing.T) *node {
			n := quiet(t, posting(config.TargetOptions{URL: down(t).URL}), func(o *config.Options) { o.DrainTimeout = time.Second })
			publishTo(t, n, "1", "2")
			n.crash(t)
			return n
		}, []string{"events were not delivered before the end", "target=gw", "waiting=2"}},
		"a publish ahead of a join": {func(t *testing.T) *node {
			n := quiet(t, func(o *config.Options) { o.RetryJoin = []string{memory.Addr()} })
			publishTo(t, n, "1")
			return n
		}, []string{"publishing although no node could be joined yet"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := kind.lose(t)
				testkit.WaitFor(t, "the line", func() bool { return n.log.Count(append(kind.want, "level=ERR")...) > 0 })
			})
		})
	}
	t.Run("all goes well", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			gw := memory.NewGateway(t)
			n, other := quiet(t, posting(config.TargetOptions{URL: gw.URL})), quiet(t)
			join(t, n, other)
			publishTo(t, other, "1", noise(60_000))
			testkit.WaitFor(t, "both events", func() bool { return len(gw.Of("user")) == 2 })
			gw.Down.Store(true) // for so short that the next attempt comes within 30 s
			publishTo(t, other, "2")
			time.Sleep(3 * time.Second)
			gw.Down.Store(false)
			testkit.WaitFor(t, "the third", func() bool { return len(gw.Of("user")) == 3 })
			other.end(nil)
			other.stopped(t)
			n.end(nil)
			n.stopped(t)
			for _, a := range []*node{n, other} {
				if text := a.log.String(); text != "" {
					t.Errorf("the log has:\n%s", text)
				}
			}
		})
	})
}

// refusing is the URL of a gateway that refuses every event for good.
func refusing(t *testing.T) string {
	t.Helper()
	return memory.Serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusBadRequest) }).URL
}
