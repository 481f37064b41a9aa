package agent

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"agentctl/agent/config"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/loopback"
)

// In real time, since it is about ports of this machine; nothing is waited for.
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
		"name not allowed": {func(o *config.Options) { o.NodeName, o.ValidateNodeNames = "a b", true }, []string{"gossip: ", "ame"}},
	} {
		t.Run(name, func(t *testing.T) {
			hub, _ := newHub(t)
			o := options()
			o.Bind, o.RPCAddr = loopback.Addr(), loopback.Addr()
			bind, rpc := o.Bind, o.RPCAddr
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

// In real time, since it is about ports of this machine; nothing is waited for.
func TestAnAgentThatIsNotRunIsClosed(t *testing.T) {
	hub, _ := newHub(t)
	o := options(func(o *config.Options) { o.Bind, o.RPCAddr, o.HTTPAddr = loopback.Addr(), "127.0.0.1:0", "127.0.0.1:0" })
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

// In real time, since it is about a unix socket; nothing is waited for.
func TestRPCSocketIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	hub, _ := newHub(t)
	o := options(onLoopback, func(o *config.Options) { o.RPCAddr = "unix:" + path })
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

// In real time, since it is about ports of this machine; nothing is waited for.
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
		a, err := New(compiled(t, options(onLoopback, func(o *config.Options) {
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
