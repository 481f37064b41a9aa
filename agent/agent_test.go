package agent

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent/config"
	"agentctl/handler"
	"agentctl/handler/target"
	"agentctl/scripts/loopback"
	"agentctl/scripts/testkit"
)

func TestNewSaysWhatItCouldNotHaveAndLeavesNothingOpen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	udp, err := net.ListenPacket("udp", loopback.Addr()) // of TCP it is free
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	for name, tt := range map[string]struct {
		change func(*config.Options)
		want   []string
	}{
		"gossip TCP":       {func(o *config.Options) { o.Bind = taken.Addr().String() }, []string{"gossip: ", taken.Addr().String()[10:], "address already in use", "is an agent running already?", "-bind"}},
		"gossip UDP":       {func(o *config.Options) { o.Bind = udp.LocalAddr().String() }, []string{"gossip: ", "UDP", "-bind"}},
		"RPC":              {func(o *config.Options) { o.RPCAddr = taken.Addr().String() }, []string{"RPC: ", taken.Addr().String(), "-rpc-addr"}},
		"operations":       {func(o *config.Options) { o.HTTPAddr = taken.Addr().String() }, []string{"operations: ", taken.Addr().String(), "-http-addr"}},
		"RPC socket":       {func(o *config.Options) { o.RPCAddr = "unix:/no/such/folder/s" }, []string{"RPC: ", "/no/such/folder/s"}},
		"tags too large":   {func(o *config.Options) { o.Tags = map[string]string{"a": strings.Repeat("x", 600)} }, []string{"gossip: ", "tags exceeds limit of 512 bytes"}},
		"name not allowed": {func(o *config.Options) { o.NodeName, o.ValidateNodeNames = "a b", true }, []string{"gossip: ", "ame"}},
	} {
		t.Run(name, func(t *testing.T) {
			hub, _ := newHub(t)
			o := options()
			o.Bind = loopback.Addr()
			bind, rpc := o.Bind, loopback.Addr()
			o.RPCAddr = rpc
			tt.change(&o)
			a, err := New(compiled(t, o), hub, Hooks{})
			if err == nil {
				a.Close()
				t.Fatal("no error")
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
			if strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q shows a secret or is more than a line", err)
			}
			// Another test may have been given one of them meanwhile, or have started
			// a child that holds it for a moment.
			testkit.WaitFor(t, "the ports to be free", func() bool {
				for _, addr := range []string{bind, rpc} {
					ln, err := net.Listen("tcp", addr)
					if err != nil {
						return false
					}
					ln.Close()
				}
				pc, err := net.ListenPacket("udp", bind)
				if err != nil {
					return false
				}
				pc.Close()
				return true
			})
		})
	}
}

func TestAnAgentThatIsNotRunIsClosed(t *testing.T) {
	hub, _ := newHub(t)
	o := options(func(o *config.Options) { o.Bind, o.HTTPAddr = loopback.Addr(), "127.0.0.1:0" })
	for range 3 { // the same port each time
		a, err := New(compiled(t, o), hub, Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		if a.GossipAddr() != o.Bind {
			t.Errorf("gossip at %s, want %s", a.GossipAddr(), o.Bind)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
}

// An agent that is half built has metrics already, and can be closed.
func TestMetricsBeforeSerf(t *testing.T) {
	hub, _ := newHub(t)
	a := &Agent{opts: compiled(t, options()), hub: hub, logger: hub.Logger(), registry: prometheus.NewRegistry()}
	a.end.sending, a.end.noMoreSending = context.WithCancel(t.Context())
	if err := errors.Join(a.openEvents(), a.openServers(nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.registry.Gather(); err != nil {
		t.Error(err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

func TestRPCSocketIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	hub, _ := newHub(t)
	o := options(func(o *config.Options) { o.RPCAddr = "unix:" + path })
	// A socket left from a crash.
	stale, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	stale.Close()

	a, err := New(compiled(t, o), hub, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("%v, %v, want a socket with 0600", info.Mode(), err)
	}
	if a.RPCAddr() != "unix:"+path || a.HTTPAddr() != config.Off {
		t.Errorf("RPC at %s, operations at %s", a.RPCAddr(), a.HTTPAddr())
	}
	// One that is in use is not taken away.
	if _, err := New(compiled(t, o), hub, Hooks{}); err == nil || !strings.Contains(err.Error(), "already in use") || !strings.Contains(err.Error(), "-rpc-addr") {
		t.Errorf("a second agent: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	// Nor is what is no socket.
	if err := os.WriteFile(path, []byte("keep me"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(compiled(t, o), hub, Hooks{}); err == nil {
		t.Error("a file is taken for a socket")
	}
	if text, err := os.ReadFile(path); string(text) != "keep me" {
		t.Errorf("the file is now %q, %v", text, err)
	}
}

func TestOpenPortsAreWarnedOf(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		addr, key string
		want      int
	}{
		"loopback": {"127.0.0.1:0", "", 0},
		"all":      {"0.0.0.0:0", "", 1},
		"with key": {"0.0.0.0:0", "hidden", 0},
	} {
		hub, log := newHub(t)
		a, err := New(compiled(t, options(func(o *config.Options) {
			o.RPCAddr, o.RPCAuthKey, o.HTTPAddr = tt.addr, tt.key, tt.addr
			if tt.key != "" {
				o.HTTPTokenFile = testkit.WriteFile(t, tt.key)
			}
		})), hub, Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		a.Close()
		hub.Close()
		for _, port := range []string{"RPC", "the operations endpoint"} {
			if n := log.Count("level=WARN", port+" is open to the network"); n != tt.want {
				t.Errorf("%s: %d warnings of %s, want %d", name, n, port, tt.want)
			}
		}
		if strings.Contains(log.String(), "hidden") {
			t.Errorf("%s: the key is in the log", name)
		}
	}
}

func TestHooksAndDebugInformation(t *testing.T) {
	t.Parallel()
	gw := testkit.NewGateway(t)
	gw.Down.Store(true)
	hub, buf := newHub(t)
	published, attempts := make(chan string, 1), make(chan error, 100)
	a, err := New(compiled(t, options(handlers("user:kong="+strings.Replace(gw.URL, "://", "://u:hidden@", 1), "user:x=curl http://v:hidden@h"))), hub, Hooks{
		Published: func(name string, payload []byte) { published <- name + " " + string(payload) },
		Attempted: func(target string, e handler.Event, err error, took time.Duration) { attempts <- err },
	})
	if err != nil {
		t.Fatal(err)
	}
	n := run(t, a, buf)
	if err := n.Publish(t.Context(), "kong", []byte("p"), false); err != nil {
		t.Fatal(err)
	}
	if got := <-published; got != "kong p" {
		t.Errorf("published %q", got)
	}
	if _, ok := errors.AsType[*target.PostError](<-attempts); !ok {
		t.Error("the failed attempt is not told")
	}
	gw.Down.Store(false)
	for err := range attempts {
		if err == nil {
			break
		}
	}
	stats := n.Stats()
	if stats["agent"]["name"] != n.opts.NodeName || stats["serf"]["members"] != "1" || len(stats["event_handlers"]) != 2 {
		t.Errorf("%v", stats)
	}
	for filter, what := range stats["event_handlers"] {
		if strings.Contains(what, "hidden") {
			t.Errorf("%s: %q shows a password", filter, what)
		}
	}
	n.end(nil)
	if err := n.stopped(t); err != nil {
		t.Error(err)
	}
	hub.Close()
	if strings.Contains(buf.String(), "hidden") {
		t.Error("a password is in the log")
	}
}
