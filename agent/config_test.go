package agent

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"agentctl/agent/config"
	"agentctl/agent/gossip"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// What runs is the value that was compiled, whatever has become of the files
// since: nobody reads them a second time.
func TestWhatRunsIsWhatWasCompiled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, kong := newRecorder(t), memory.NewGateway(t)
		dir := t.TempDir()
		file := func(name, text string) string {
			path := filepath.Join(dir, name)
			testkit.WriteTo(t, path, text)
			return path
		}
		token := file("token", "one")
		script := file("serf_event.sh", kongScriptText(strings.TrimPrefix(kong.URL, "http://")))
		keyring, tags := file("keyring", `["`+oldKey+`"]`), file("tags", `{"zone": "a"}`)
		with := func(method string) config.Options {
			return options(handlers("user:e="+script), func(o *config.Options) {
				o.NodeName = "compiled"
				o.Targets = []config.TargetOptions{{Name: "r", URL: r.URL, Events: "user:e", Method: method, BearerTokenFile: token}}
				o.KeyringFile, o.TagsFile = keyring, tags
			})
		}
		first, second := compiled(t, with("POST")), compiled(t, with("PUT"))
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		hub, log := newHub(t)
		a, err := newOn(t, first, hub, Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		n := run(t, a, log)
		testkit.WaitFor(t, "the agent to run", func() bool { return n.log.Count("events are posted", "target=r") == 1 })
		if zone := n.serf.LocalMember().Tags["zone"]; zone != "a" || !n.Encrypted() {
			t.Errorf("zone %q, encrypted %v", zone, n.Encrypted())
		}
		publishAll(t, n.Agent, "1")
		testkit.WaitFor(t, "both to have it", func() bool { return len(r.got()) == 1 && len(kong.Of("user")) == 1 })
		if err := n.Reload(second); err != nil {
			t.Fatal(err)
		}
		publishAll(t, n.Agent, "2")
		testkit.WaitFor(t, "both to have the next", func() bool { return len(r.got()) == 2 && len(kong.Of("user")) == 2 })
		r.mu.Lock()
		defer r.mu.Unlock()
		testkit.Want(t, "authorization", r.auth, []string{"Bearer one", "Bearer one"})
	})
}

func TestEachWarningIsLoggedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		conf, err := config.Compile(config.Input{
			Defaults: options(func(o *config.Options) { o.Role, o.RejoinAfterLeave, o.RetryInterval = "web", true, 1 }),
			Environ:  []string{"AGENTCTL_NODENAME=x"},
		})
		if err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, "warnings", len(conf.Warnings), 4)
		hub, log := newHub(t)
		a, err := newOn(t, conf, hub, Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		n := run(t, a, log)
		testkit.WaitFor(t, "the agent to run", func() bool { return n.log.Count("events are handled by a script") == 1 })
		logged := func(times int) {
			t.Helper()
			for _, w := range []string{"role: deprecated", "retry-interval: 1ns is too low", "rejoin: has no effect", "AGENTCTL_NODENAME: unknown variable"} {
				testkit.Want(t, w, log.Count("level=WARN", w), times)
			}
		}
		logged(1)
		if err := n.Reload(conf); err != nil {
			t.Fatal(err)
		}
		testkit.WaitFor(t, "the reload to be logged", func() bool { return n.log.Count("configuration reloaded") == 1 })
		logged(2)
	})
}

// Which addresses this machine has is seen without a start.
func TestGossipCheck(t *testing.T) {
	t.Parallel()
	on := func(bind, advertise string) error {
		return gossip.Check(compiled(t, options(func(o *config.Options) { o.Bind, o.Interface, o.Advertise = bind, loopbackName(t), advertise })))
	}
	if err := on("127.0.0.1:0", "10.0.0.1"); err != nil {
		t.Error(err)
	}
	if err := on("192.0.2.1", ""); err == nil || !strings.HasPrefix(err.Error(), "iface: ") || !strings.Contains(err.Error(), "does not have the address 192.0.2.1 of -bind") {
		t.Errorf("an address of no interface: %v", err)
	}
}

// loopbackName is what this machine calls its loopback interface.
func loopbackName(t *testing.T) string {
	t.Helper()
	list, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(i net.Interface) bool { return i.Flags&net.FlagLoopback != 0 })
	if i < 0 {
		testkit.NotRun(t, "it needs a loopback interface")
	}
	return list[i].Name
}
