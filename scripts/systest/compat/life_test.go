package compat

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/loopback"
	"agentctl/scripts/testkit/proc"
)

// lifeStep is something that happens to an agent, and the line that it writes last
// about that.
type lifeStep struct {
	args    string // of a command, with {other} and so on; "" waits only
	writes  string // a part of the line
	monitor bool   // a monitor is to show that line, of some that were written before
}

// lifeSteps are a life of an agent, with what people search its log for.
var lifeSteps = []lifeStep{
	{writes: "Received event: member-join"},
	{args: "join -rpc-addr={rpc} {other}", writes: "joined: 1 nodes"},
	{writes: "Received event: member-join"},
	{args: "join -rpc-addr={rpc} -replay {dead}", writes: "error joining: "},
	{args: "event -rpc-addr={rpc} -coalesce=false works payload", writes: "Event 'user' script output: printed"},
	{args: "event -rpc-addr={rpc} -coalesce=false fails", writes: "Error invoking script 'echo broken; exit 3': exit status 3"},
	{args: "event -rpc-addr={rpc} -coalesce=false fails", writes: "Error invoking script 'echo broken; exit 3': exit status 3"},
	{args: "event -rpc-addr={rpc} -coalesce=false slow", writes: "Event 'user' script output: done"},
	{args: "event -rpc-addr={rpc} huge " + strings.Repeat("x", 600), writes: "failed to send user event: "},
	{args: "query -rpc-addr={rpc} -node=one -timeout=1s ask payload", writes: "Event 'query' script output: answer"},
	{args: "query -rpc-addr={rpc} big " + strings.Repeat("x", 1100), writes: "failed to start user query: "},
	{args: "force-leave -rpc-addr={rpc} nobody", writes: "Force leaving node: nobody"},
	{args: "force-leave -rpc-addr={rpc} -prune nobody", writes: "Force leaving node (prune): nobody"},
	{args: "keys -rpc-addr={rpc} -list", writes: "Initiating key listing"},
	{args: "keys -rpc-addr={rpc} -install {key2}", writes: "Initiating key installation"},
	{args: "keys -rpc-addr={rpc} -use {key2}", writes: "Initiating primary key change"},
	{args: "keys -rpc-addr={rpc} -remove {key}", writes: "Initiating key removal"},
	{args: "tags -rpc-addr={rpc} -set a=1", writes: "Received event: member-update"},
	{writes: "Received event: member-update", monitor: true},
	{args: "leave -rpc-addr={rpc}", writes: "shutdown complete"},
}

// lifeDiffers are the lines that only one of the two writes, with the reason. All other
// lines are the same, and in the same order.
var lifeDiffers = []struct{ line, reason string }{
	{`^\[WARN\] agent: Serf shutdown detected, quitting$`, shutdownRace},
	{`^\[ERR\] agent\.ipc: Failed to stream ack to ipc\.client: .*: use of closed network connection$`, lateAck},
	{`^\[INFO\] agent: the journal is in memory`, "stock has no journal"},
	{`^\[INFO\] agent: Received event: member-leave$`, ownLeave},
	{`^\[INFO\] agent: stopping: cause=`, "it says why the agent ends"},
	{`^\[INFO\] agent: agent is running: `, "it says which program runs, and its version"},
	{`^\[INFO\] agent: events are handled by a script: `, "it shows what a reload has changed"},
	{`^\[DEBUG\] agent: rpc: client gone`, "a client that vanished is found by its end"},
	{`^\[(DEBUG|INFO)\] agent: (link|repair): `, "stock has neither links nor repair"},
}

// These lines need not be there.
const (
	shutdownRace = "stock writes it or not, as its goroutines race at the end"
	lateAck      = "stock writes it if an acknowledgement comes after the client of a query has its answer, and has gone"
	ownLeave     = "today's serf waits a second at its leave, and hears of it meanwhile; serf 0.8.1 and ours wait less"
)

var (
	lifeAgentLine = regexp.MustCompile(`(?m)^ *\d{4}/\d\d/\d\d \d\d:\d\d:\d\d (\[\w+\] (?:agent|agent\.ipc): .*)$`)
	lifeNoise     = []struct {
		re *regexp.Regexp
		by string
	}{
		{regexp.MustCompile(`Accepted client: \S+`), "Accepted client: ADDR"},
		{regexp.MustCompile(`(error joining|Join failed): .*`), "$1: ERR"}, // stock's goes on in further lines
		{regexp.MustCompile(`127(\.\d+){3}:\d+`), "ADDR"},
		{regexp.MustCompile(`from \S*/`), "from DIR/"},
	}
)

// lifeOf runs a program's agent through the life, and returns all that it printed, and
// what a monitor showed near the end.
func lifeOf(t *testing.T, program []string) (printed, monitored string) {
	dir := t.TempDir()
	keys, tags := filepath.Join(dir, "keys"), filepath.Join(dir, "tags")
	testkit.WriteTo(t, keys, fmt.Sprintf("[%q]", proc.FirstKey))
	testkit.WriteTo(t, tags, `{"role":"gw"}`)
	other, otherRPC, rpc := loopback.Addr(), loopback.Addr(), loopback.Addr()
	values := strings.NewReplacer("{rpc}", rpc, "{other}", other, "{dead}", "127.0.0.1:1", "{key}", proc.FirstKey, "{key2}", proc.SecondKey)
	start := func(name, rpc string, args ...string) *proc.Process {
		p := startAs(t, program, name, append([]string{"-rpc-addr=" + rpc}, args...)...)
		if err := (&proc.Node{Process: p, RPC: rpc}).Answers(); err != nil {
			t.Fatalf("%v: it printed:\n%s", err, p.Printed())
		}
		return p
	}
	start("two", otherRPC, "-bind="+other, "-encrypt="+proc.FirstKey)
	one := start("one", rpc, "-bind="+loopback.Addr(), "-log-level=debug", "-keyring-file="+keys, "-tags-file="+tags,
		"-event-handler=user:works=echo printed", "-event-handler=user:fails=echo broken; exit 3",
		"-event-handler=user:slow=sleep 1.2; echo done", "-event-handler=query:ask=echo answer")
	seen := 0
	for _, step := range lifeSteps {
		var args []string
		for _, arg := range strings.Fields(step.args) {
			args = append(args, values.Replace(arg))
		}
		switch {
		case step.monitor:
			monitored = monitor(t, program, rpc, step.writes)
		case len(args) > 0:
			exec.Command(program[0], append(slices.Clone(program[1:]), args...)...).Run() // some are to fail: TestCompat compares that
		}
		testkit.WaitFor(t, "the log to say "+step.writes, func() bool {
			printed := one.Printed()
			i := strings.Index(printed[seen:], step.writes)
			if i < 0 && one.Ended() {
				t.Fatalf("the agent has ended without %q; it printed:\n%s", step.writes, printed)
			}
			if i >= 0 && !step.monitor {
				seen += i + len(step.writes)
			}
			return i >= 0 || step.monitor
		})
	}
	if status, err := one.Exit(); status != 0 || err != nil {
		t.Errorf("the agent ended with status %d, %v", status, err)
	}
	return one.Printed(), monitored
}

// startAs starts a program's agent, which is killed at the end of the test.
func startAs(t *testing.T, program []string, name string, args ...string) *proc.Process {
	t.Helper()
	p, err := proc.Start(t.TempDir(), name, os.Environ(), program[0], slices.Concat(program[1:], []string{"agent", "-node=" + name, proc.Profile}, args)...)
	if err != nil {
		t.Fatal(err)
	}
	proc.KillAtEnd(t, p)
	return p
}

// monitor shows the log of an agent until a line comes, and then is interrupted.
func monitor(t *testing.T, program []string, rpc, last string) string {
	t.Helper()
	p, err := proc.Start(t.TempDir(), "monitor", os.Environ(), program[0], append(slices.Clone(program[1:]), "monitor", "-rpc-addr="+rpc, "-log-level=debug")...)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	testkit.WaitFor(t, "the monitor to show "+last, func() bool { return strings.Contains(p.Printed(), last) })
	if err := p.Cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	// Not the status: serf's own client may race with itself at this end, and with the
	// race detector that is one of its own.
	if _, err := p.Exit(); err != nil {
		t.Error(err)
	}
	return p.Printed()
}

// agentLines are the lines of the agent in what it printed, but for those of
// lifeDiffers, which it notes.
func agentLines(printed string, applies []bool) (lines []string) {
	for _, m := range lifeAgentLine.FindAllStringSubmatch(printed, -1) {
		line := m[1]
		differs := false
		for i, d := range lifeDiffers {
			if regexp.MustCompile(d.line).MatchString(line) {
				differs, applies[i] = true, true
			}
		}
		if differs {
			continue
		}
		for _, n := range lifeNoise {
			line = n.re.ReplaceAllString(line, n.by)
		}
		lines = append(lines, line)
	}
	return lines
}

// TestLogOfALife compares the lines of the agent, from its start to its end, with those
// of stock serf's, one by one, in its output and as a monitor shows them.
func TestLogOfALife(t *testing.T) {
	t.Parallel()
	applies := make([]bool, len(lifeDiffers))
	var their, our, theirMonitor, ourMonitor string
	var both sync.WaitGroup
	theirProgram, ourProgram := programs(t)
	both.Go(func() { their, theirMonitor = lifeOf(t, theirProgram) })
	both.Go(func() { our, ourMonitor = lifeOf(t, ourProgram) })
	both.Wait()
	if t.Failed() {
		return
	}
	if diff := cmp.Diff(agentLines(their, applies), agentLines(our, applies)); diff != "" {
		t.Errorf("the lines of the agent (-stock +ours):\n%s", diff)
	}
	if diff := cmp.Diff(agentLines(theirMonitor, applies), agentLines(ourMonitor, applies)); diff != "" {
		t.Errorf("the lines of the agent as a monitor shows them (-stock +ours):\n%s", diff)
	}
	for i, d := range lifeDiffers {
		mayLack := d.reason == shutdownRace || d.reason == lateAck || d.reason == ownLeave
		if !applies[i] && !mayLack {
			t.Errorf("no line is %s: the reason %q is in vain", d.line, d.reason)
		}
	}
}

// TestLogOfAnEnd compares what agents print that end in other ways than by a leave, and
// their exit status.
func TestLogOfAnEnd(t *testing.T) {
	theirs, ours := programs(t)
	for name, end := range map[string]struct {
		args   string
		signal os.Signal // sent once it runs, if any
		after  []string  // lines
	}{
		"SIGTERM":   {"", syscall.SIGTERM, nil},
		"SIGINT":    {"", os.Interrupt, nil},
		"join":      {"-join=127.0.0.1:1", nil, nil},
		"retry-max": {"-retry-join=127.0.0.1:1 -retry-max=1 -retry-interval=1s", nil, nil},
		"retrying":  {"-retry-join=127.0.0.1:1 -retry-max=9 -retry-interval=30s", syscall.SIGTERM, []string{"retrying in"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := func(program []string) (printed string, status int) {
				p := startAs(t, program, "n", append(strings.Fields(end.args), "-bind="+loopback.Addr(), "-rpc-addr="+loopback.Addr())...)
				if end.signal != nil {
					// Stock serf says that it runs before it listens for signals.
					for _, last := range append(end.after, "Received event: member-join") {
						testkit.WaitFor(t, "the log to say "+last, func() bool { return strings.Contains(p.Printed(), last) })
					}
					if err := p.Cmd.Process.Signal(end.signal); err != nil {
						t.Fatal(err)
					}
				}
				status, err := p.Exit()
				if err != nil {
					t.Fatal(err)
				}
				if errs, _ := os.ReadFile(p.Err); len(errs) > 0 {
					t.Errorf("standard error has %q", errs)
				}
				return p.Printed(), status
			}
			their, theirStatus := run(theirs)
			our, ourStatus := run(ours)
			if theirStatus != ourStatus {
				t.Errorf("status %d, and stock serf's is %d", ourStatus, theirStatus)
			}
			lines := func(printed string) []string {
				lines := agentLines(printed, make([]bool, len(lifeDiffers)))
				return slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, "Received event") }) // at any time
			}
			if diff := cmp.Diff(lines(their), lines(our)); diff != "" {
				t.Errorf("the lines of the agent (-stock +ours):\n%s", diff)
			}
			said := regexp.MustCompile(`(?m)^==> .*`)
			if diff := cmp.Diff(said.FindAllString(their, -1), said.FindAllString(our, -1)); diff != "" && name != "join" { // its error is in our words
				t.Errorf("what it says beside the log (-stock +ours):\n%s", diff)
			}
		})
	}
}
