package agent

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"agentctl/agent/config"
	"agentctl/handler"
	"agentctl/handler/delivery"
	"agentctl/handler/journal"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// recorder is a gateway that keeps what is posted, and refuses while it is told to.
type recorder struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []string
	auth   []string
	fail   bool
}

func newRecorder(t *testing.T) *recorder {
	r := &recorder{}
	r.Server = memory.Serve(t, func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.fail {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		r.bodies = append(r.bodies, string(body))
		r.auth = append(r.auth, req.Header.Get("Authorization"))
	})
	return r
}

func (r *recorder) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.bodies)
}

func (r *recorder) setFail(fail bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = fail
}

// startRunning is start, once the agent takes reloads.
func startRunning(t *testing.T, change ...func(*config.Options)) *node {
	t.Helper()
	n := start(t, change...)
	testkit.WaitFor(t, "the agent to run", func() bool {
		n.sinks.reload.Lock()
		defer n.sinks.reload.Unlock()
		return n.sinks.running != nil
	})
	return n
}

func publishAll(t *testing.T, a *Agent, payloads ...string) {
	t.Helper()
	for _, p := range payloads {
		if err := a.Publish(t.Context(), "e", []byte(p), false); err != nil {
			t.Fatal(err)
		}
	}
}

// Events that wait for a target survive its change; a target that stays is not
// disturbed, one that goes gets no more.
func TestReloadKeepsWhatWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		down, up, late := newRecorder(t), newRecorder(t), newRecorder(t)
		down.setFail(true)
		token := testkit.WriteFile(t, "one")
		target := func(name, url string, change func(*config.TargetOptions)) config.TargetOptions {
			o := config.TargetOptions{Name: name, URL: url, Events: "user:e"}
			if change != nil {
				change(&o)
			}
			return o
		}
		n := startRunning(t, func(o *config.Options) {
			o.Targets = []config.TargetOptions{target("down", down.URL, nil), target("up", up.URL, nil),
				target("token", late.URL, func(o *config.TargetOptions) { o.BearerTokenFile = token })}
		})
		publishAll(t, n.Agent, "1", "2")
		testkit.WaitFor(t, "the healthy targets to have both", func() bool { return len(up.got()) == 2 && len(late.got()) == 2 })

		upDelivery := n.sinks.served()[1].delivery
		o := n.opts.Options
		testkit.WriteTo(t, token, "two")
		o.Targets = []config.TargetOptions{
			target("up", up.URL, nil),
			target("down", down.URL, func(o *config.TargetOptions) { o.Method = "PUT" }),
			target("token", late.URL, func(o *config.TargetOptions) { o.BearerTokenFile = token }),
		}
		o.EventHandlers = []string{"user:e=true"}
		o.Tags = map[string]string{"zone": "b"}
		if err := n.Reload(compiled(t, o)); err != nil {
			t.Fatal(err)
		}
		if n.sinks.served()[0].delivery != upDelivery {
			t.Error("a target that did not change is served anew")
		}
		if tags := n.serf.LocalMember().Tags; tags["zone"] != "b" {
			t.Errorf("tags are %v", tags)
		}
		publishAll(t, n.Agent, "3")
		down.setFail(false)
		want := []string{"1", "2", "3"}
		for name, r := range map[string]*recorder{"down": down, "up": up, "token": late} {
			testkit.WaitFor(t, name+" to have all", func() bool { return len(r.got()) >= 3 })
			if got := r.got(); !slices.Equal(got, want) {
				t.Errorf("%s got %v, want %v", name, got, want)
			}
		}
		if got := late.auth; !slices.Equal(got, []string{"Bearer one", "Bearer one", "Bearer two"}) {
			t.Errorf("the token's file was not read again: %v", got)
		}

		// Two targets go; what waits for one is kept.
		down.setFail(true)
		publishAll(t, n.Agent, "4")
		testkit.WaitFor(t, "it to wait", func() bool {
			s := n.Targets()
			return len(up.got()) == 4 && len(late.got()) == 4 && s[1].Waiting == 1 && s[2].Waiting == 0
		})
		o.Targets = o.Targets[:1]
		if err := n.Reload(compiled(t, o)); err != nil {
			t.Fatal(err)
		}
		if got := n.journal.Targets(); !slices.Equal(got, []string{"down", "up"}) {
			t.Errorf("places are kept for %v, want those of the target that stays and of the one that lacks an event", got)
		}
		publishAll(t, n.Agent, "5")
		testkit.WaitFor(t, "the one that stays to have it", func() bool { return len(up.got()) == 5 })
		if len(n.Targets()) != 1 || len(late.got()) != 4 {
			t.Errorf("%d targets, and the removed one got %v", len(n.Targets()), late.got())
		}
	})
}

func TestReloadOfBadOptionsChangesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRecorder(t)
		n := startRunning(t, func(o *config.Options) {
			o.Targets = []config.TargetOptions{{URL: r.URL, Events: "user:e"}}
			o.Tags = map[string]string{"zone": "a"}
		})
		before := n.sinks.served()[0]
		for name, change := range map[string]func(*config.Options){
			"target": func(o *config.Options) { o.Targets = []config.TargetOptions{{URL: "nonsense"}} },
			"level":  func(o *config.Options) { o.LogLevel = "loud" },
			"name": func(o *config.Options) {
				o.Targets = []config.TargetOptions{{URL: r.URL + "/other", Events: "user:e"}, {Name: strings.Repeat("n", 1025), URL: r.URL}}
			},
			"tags": func(o *config.Options) {
				o.Tags = map[string]string{"big": strings.Repeat("x", 600)}
				o.Targets = []config.TargetOptions{{URL: r.URL + "/other", Events: "user:e"}}
			},
		} {
			o := n.opts.Options
			o.Tags = map[string]string{"zone": "b"}
			change(&o)
			conf, err := config.Compile(config.Input{Defaults: o})
			if err == nil {
				err = n.Reload(conf)
			}
			if err == nil {
				t.Errorf("%s: no error", name)
			}
			if n.sinks.served()[0] != before || n.serf.LocalMember().Tags["zone"] != "a" {
				t.Errorf("%s: something changed", name)
			}
		}
		publishAll(t, n.Agent, "1")
		testkit.WaitFor(t, "the target to go on", func() bool { return len(r.got()) == 1 })
	})
}

// A target that takes long to stop keeps no other from being served.
func TestReloadOfASlowTarget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		slow, fast := newRecorder(t), newRecorder(t)
		slow.setFail(true)
		with := func(n string) []config.TargetOptions {
			headers := map[string]string{"X-N": n}
			return []config.TargetOptions{
				{Name: "slow", URL: slow.URL, Events: "user:e", Headers: headers},
				{Name: "fast", URL: fast.URL, Events: "user:e", Headers: headers},
				{Name: "gone", URL: fast.URL, Events: "user:other", Method: "PUT"},
			}
		}
		held, release := make(chan struct{}, 1), make(chan struct{})
		hub, log := newHub(t)
		a, err := newOn(t, compiled(t, options(func(o *config.Options) { o.Targets = with("1") })), hub, Hooks{
			Attempted: func(_ string, _ handler.Event, err error, _ time.Duration) {
				if err != nil {
					select {
					case held <- struct{}{}:
					default:
					}
					<-release
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		n := run(t, a, log)
		end := sync.OnceFunc(func() { close(release) })
		t.Cleanup(end) // before that of run
		testkit.WaitFor(t, "the agent to run", func() bool { return n.log.Count("events are posted", "target=fast") == 1 })
		publishAll(t, n.Agent, "1")
		<-held
		o, reloaded := n.opts.Options, make(chan error, 1)
		o.Targets = with("2")[:2]
		conf := compiled(t, o)
		go func() { reloaded <- n.Reload(conf) }()
		testkit.WaitFor(t, "the other to be served anew", func() bool { return n.log.Count("events are posted", "target=fast") == 2 })
		publishAll(t, n.Agent, "2")
		testkit.WaitFor(t, "it to have both", func() bool { return len(fast.got()) == 2 })
		names := func() (out []string) {
			for _, s := range n.Targets() {
				out = append(out, s.Target)
			}
			return out
		}
		if got := names(); !slices.Equal(got, []string{"slow", "fast"}) {
			t.Errorf("meanwhile the targets are %v", got)
		}
		end()
		if err := <-reloaded; err != nil {
			t.Fatal(err)
		}
		slow.setFail(false)
		testkit.WaitFor(t, "the slow one to have both", func() bool { return slices.Equal(slow.got(), []string{"1", "2"}) })
		if got := names(); !slices.Equal(got, []string{"slow", "fast"}) {
			t.Errorf("then the targets are %v", got)
		}
	})
}

// A target that cannot be served is not listed, and nobody waits for it.
func TestReloadWithoutATarget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRecorder(t)
		n := startRunning(t, func(o *config.Options) {
			o.Targets = []config.TargetOptions{{Name: "a", URL: r.URL, Events: "user:e"}, {Name: "b", URL: r.URL, Events: "user:none"}}
		})
		if _, err := n.journal.Cursor("c", journal.CursorConfig{}); err != nil { // nobody else has it from here on
			t.Fatal(err)
		}
		o := n.opts.Options
		o.Targets = []config.TargetOptions{{Name: "c", URL: r.URL, Events: "user:none,query"}, {Name: "a", URL: r.URL, Events: "user:e", Method: "PUT"}}
		if err := n.Reload(compiled(t, o)); err != nil {
			t.Fatal(err)
		}
		if got := n.Targets(); len(got) != 1 || got[0].Target != "a" {
			t.Errorf("targets %v", got)
		}
		testkit.WaitFor(t, "the log to tell", func() bool { return n.log.Count("level=ERR", "cannot be served", "target=c") == 1 })
		publishAll(t, n.Agent, "1")
		testkit.WaitFor(t, "the other to be served", func() bool { return len(r.got()) == 1 })
		n.end(nil)
		if err := n.stopped(t); err != nil {
			t.Error(err)
		}
	})
}

// Reloads while events flow: nothing is lost, doubled or out of order, at a
// target that stays.
func TestReloadUnderLoad(t *testing.T) {
	bubble(t, func(t *testing.T) {
		memory.Delay(t, 0, 2*time.Millisecond)
		stays, flips := newRecorder(t), newRecorder(t)
		with := func(n int) []config.TargetOptions {
			return []config.TargetOptions{
				{Name: "stays", URL: stays.URL, Events: "user:e"},
				{Name: "flips", URL: flips.URL, Events: "user:e", Headers: map[string]string{"X-N": fmt.Sprint(n)}},
			}
		}
		n := startRunning(t, func(o *config.Options) { o.Targets = with(0) })
		const events = 400
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range events {
				if err := n.Publish(t.Context(), "e", fmt.Append(nil, i), false); err != nil {
					t.Error(err)
					return
				}
				time.Sleep(time.Millisecond)
			}
		}()
		for i := 1; ; i++ {
			o := n.opts.Options
			o.Targets = with(i)
			if err := n.Reload(compiled(t, o)); err != nil {
				t.Fatal(err)
			}
			select {
			case <-done:
			case <-time.After(time.Duration(i%5) * time.Millisecond): // any time of a post's
				continue
			}
			break
		}
		inOrder := func(got []string) (distinct int, ordered bool) {
			last := -1
			ordered = true
			for _, s := range got {
				var i int
				fmt.Sscan(s, &i)
				if i > last {
					distinct++
					last = i
				} else if i < last {
					ordered = false
				}
			}
			return distinct, ordered
		}
		for name, r := range map[string]*recorder{"stays": stays, "flips": flips} {
			testkit.WaitFor(t, name+" to have all", func() bool { n, _ := inOrder(r.got()); return n == events })
			if _, ordered := inOrder(r.got()); !ordered {
				t.Errorf("%s: out of order", name)
			}
		}
		for name, r := range map[string]*recorder{"stays": stays, "flips": flips} {
			if got := len(r.got()); got != events {
				t.Errorf("%s got %d posts of %d events", name, got, events)
			}
		}
	})
}

// RetryNow is for all targets at once. Nothing but the waits changes.
func TestRetryNow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var busy atomic.Bool
		busy.Store(true)
		var taken atomic.Int64
		gw := memory.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if busy.Load() {
				w.Header().Set("Retry-After", "300")
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			taken.Add(1)
		})
		n := startRunning(t, func(o *config.Options) {
			o.EventHandlers = []string{"user:e=true"}
			for _, name := range []string{"one", "two"} {
				o.Targets = append(o.Targets, config.TargetOptions{Name: name, URL: gw.URL + "/" + name, Events: "user:e"})
			}
		})
		publishAll(t, n.Agent, "1")
		testkit.WaitFor(t, "both targets to ask for a wait", func() bool {
			s := n.Targets()
			return s[0].NextWhy == delivery.WhyRetryAfter && s[1].NextWhy == delivery.WhyRetryAfter
		})
		busy.Store(false)
		asked := time.Now()
		n.RetryNow()
		testkit.WaitFor(t, "both to take the event", func() bool { return taken.Load() == 2 })
		if took := time.Since(asked); took > time.Minute {
			t.Errorf("they took it after %v", took)
		}
	})
}
