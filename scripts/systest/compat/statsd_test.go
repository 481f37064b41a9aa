package compat

import (
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/loopback"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
)

// statsdNames is a statsd server that keeps the names and types of what it is told.
type statsdNames struct {
	mu    sync.Mutex
	names map[string]bool
}

// newStatsd serves until the test ends.
func newStatsd(t *testing.T) (s *statsdNames, addr string) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	s = &statsdNames{names: map[string]bool{}}
	value := regexp.MustCompile(`:[^|]*\|`)
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, _, err := conn.ReadFrom(buf)
			if err != nil {
				return // closed
			}
			s.mu.Lock()
			for line := range strings.Lines(string(buf[:n])) {
				if strings.Contains(line, "gc_pause_ns") {
					continue // it tells of a collection, which there may be or not
				}
				name := value.ReplaceAllString(strings.TrimSpace(line), "|")
				s.names[strings.ReplaceAll(name, "."+host+".", ".HOST.")] = true
			}
			s.mu.Unlock()
		}
	}()
	return s, conn.LocalAddr().String()
}

func (s *statsdNames) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.names))
}

// TestStatsdNames compares what statsd gets of the agent in a short life with what it
// gets of stock serf's.
func TestStatsdNames(t *testing.T) {
	ours, err := exec.LookPath("agentctl")
	if err != nil {
		t.Fatal(err)
	}
	live := func(name string, program []string) *statsdNames {
		dir := t.TempDir()
		server, addr := newStatsd(t)
		conf := filepath.Join(dir, "conf.json")
		testkit.WriteTo(t, conf, `{"statsd_addr":"`+addr+`"}`)
		rpc, done := loopback.Addr(), filepath.Join(dir, "done")
		p, err := proc.Start(dir, name, append(os.Environ(), "DONE="+done), program[0], slices.Concat(program[1:], []string{"agent", "-node=n", "-bind=" + loopback.Addr(),
			"-rpc-addr=" + rpc, proc.Profile, "-config-file=" + conf, "-event-handler=user:deploy=echo >$DONE"})...)
		if err != nil {
			t.Fatal(err)
		}
		proc.KillAtEnd(t, p)
		if err := (&proc.Node{Process: p, RPC: rpc}).Answers(); err != nil {
			t.Fatalf("%v: it printed:\n%s", err, p.Printed())
		}
		for _, args := range [][]string{
			{"event", "-rpc-addr=" + rpc, "-coalesce=false", "deploy", "payload"},
			{"query", "-rpc-addr=" + rpc, "-timeout=300ms", "ask", "payload"},
			{"tags", "-rpc-addr=" + rpc, "-set", "a=b"},
			{"members", "-rpc-addr=" + rpc},
		} {
			if out, err := exec.Command(program[0], slices.Concat(program[1:], args)...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %v: %s", args, err, out)
			}
		}
		testkit.WaitFor(t, "the script has run", func() bool { _, err := os.Stat(done); return err == nil })
		return server
	}
	their, our := live("stock", []string{stock.Serf(t, stock.V011)}), live("ours", []string{ours, "serf"})
	if !testkit.Poll(func() bool {
		names := our.all()
		return slices.Equal(their.all(), names) && slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, "agent.invoke.") })
	}) {
		t.Errorf("what statsd gets (-stock +ours):\n%s", cmp.Diff(their.all(), our.all()))
	}
	for _, want := range []string{"serf-agent.agent.ipc.accept|c", "serf-agent.agent.ipc.command|c"} {
		if !slices.Contains(our.all(), want) {
			t.Errorf("no %s among %q", want, our.all())
		}
	}
}
