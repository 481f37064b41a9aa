package compat

import (
	"bytes"
	"context"
	"errors"
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

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/loopback"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
)

// The purposeful differences from serf v0.11.0, beside those of an agent that
// no command line shows (agent/COMPATIBILITY.md has them all).
const (
	asKongWants = "each Kong of 0.6 to 0.10 takes version 0.7.0 and refuses today's"
	betterError = "an agent's error names the setting, the value and what to do, and all problems at once"
	sizeError   = "the limit counts name and payload, as up to serf 0.8, and the error names the sizes"
	regexpError = "stock closes the connection on a bad regular expression: ours says what is wrong with it"
	kongsKey    = "serf 0.7.0 to 0.8.1 gives 16 bytes, and Kong's own tests expect that"
	ourStats    = "info also names our version, and counts goroutines of its own"
)

// compatCase is a command line of serf's. {rpc}, {gossip}, {other}, {key} and
// {key2} are replaced by what they are in the cluster it is run against.
type compatCase struct {
	args   string
	stdin  string
	differ string // why standard output may differ; the rest is compared all the same
}

// compatCases are run in this order, each against both clusters.
var compatCases = []compatCase{
	{args: ""},
	{args: "-h"},
	{args: "--help"},
	{args: "-v", differ: asKongWants},
	{args: "--version", differ: asKongWants},
	{args: "version", differ: asKongWants},
	{args: "version -h"},
	{args: "nonsense"},
	{args: "-nonsense"},
	{args: "agent -h"},
	{args: "event -h"},
	{args: "force-leave -h"},
	{args: "info -h"},
	{args: "join -h"},
	{args: "keygen -h"},
	{args: "keys -h"},
	{args: "leave -h"},
	{args: "members -h"},
	{args: "monitor -h"},
	{args: "query -h"},
	{args: "reachability -h"},
	{args: "rtt -h"},
	{args: "tags -h"},

	{args: "event"},
	{args: "event a b c"},
	{args: "event -nonsense"},
	{args: "event -coalesce=maybe kong x"},
	{args: "event -coalesce=false -rpc-addr={rpc} kong {\"type\":\"ENTITY_UPDATED\"}"},
	{args: "event -rpc-addr={rpc} deploy"},
	{args: "event -rpc-addr {rpc} deploy -"},
	{args: "event -rpc-addr=127.0.0.1:1 kong x"},
	{args: "event -rpc-addr=nonsense kong x"},
	{args: "event -rpc-addr={rpc} -rpc-auth=wrong kong x"},
	{args: "event -rpc-addr={rpc} big " + strings.Repeat("x", 600), differ: sizeError},

	{args: "members -rpc-addr={rpc}"},
	{args: "members -rpc-addr={rpc} -format json"},
	{args: "members -rpc-addr={rpc} -format=json -name=one"},
	{args: "members -rpc-addr={rpc} -detailed"},
	{args: "members -rpc-addr={rpc} -status=failed"},
	{args: "members -rpc-addr={rpc} -tag role=web"},
	{args: "members -rpc-addr={rpc} -role web"},
	{args: "members -rpc-addr={rpc} -tag nonsense"},
	{args: "members -rpc-addr={rpc} -name=(", differ: regexpError},
	{args: "members -rpc-addr={rpc} -format=xml"},
	{args: "members -rpc-addr=127.0.0.1:1"},
	{args: "members -nonsense"},

	{args: "tags -rpc-addr={rpc} -set a=1 -set b=2"},
	{args: "members -rpc-addr={rpc} -tag a=1"},
	{args: "tags -rpc-addr={rpc} -delete a -delete b"},
	{args: "tags -rpc-addr={rpc}"},
	{args: "tags -rpc-addr={rpc} -set nonsense"},
	{args: "tags -rpc-addr={rpc} -set big=" + strings.Repeat("x", 600)},

	{args: "join -rpc-addr={rpc} {other}"},
	{args: "join -rpc-addr={rpc} -replay {other}"},
	{args: "join -rpc-addr={rpc}"},
	{args: "join -rpc-addr={rpc} 127.0.0.1:1"},

	{args: "keygen", differ: kongsKey},
	{args: "keys -rpc-addr={rpc}"},
	{args: "keys -rpc-addr={rpc} -list"},
	{args: "keys -rpc-addr={rpc} -install {key2}"},
	{args: "keys -rpc-addr={rpc} -use {key2}"},
	{args: "keys -rpc-addr={rpc} -use {key}"},
	{args: "keys -rpc-addr={rpc} -remove {key2}"},
	{args: "keys -rpc-addr={rpc} -remove {key}"},
	{args: "keys -rpc-addr={rpc} -install nonsense"},
	{args: "keys -rpc-addr={rpc} -list -use {key}"},

	{args: "query -rpc-addr={rpc} -timeout=3s ping-us payload"},
	{args: "query -rpc-addr={rpc} -timeout=3s -no-ack -node=one ping-us"},
	{args: "query -rpc-addr={rpc} -timeout=3s -format=json -node=one ping-us"},
	{args: "query -rpc-addr={rpc} -timeout=3s -tag=role=nobody ping-us"},
	{args: "query -rpc-addr={rpc} -relay-factor=300 x"},
	{args: "query -rpc-addr={rpc} -format=xml x"},
	{args: "query -rpc-addr={rpc} _serf_list-keys"},
	{args: "query -rpc-addr={rpc} big " + strings.Repeat("x", 1100)},
	{args: "query"},

	{args: "reachability -rpc-addr={rpc}"},
	{args: "reachability -rpc-addr=127.0.0.1:1"},
	{args: "rtt -rpc-addr={rpc} one two"},
	{args: "rtt -rpc-addr={rpc} two nobody"},
	{args: "rtt -rpc-addr={rpc}"},
	{args: "info -rpc-addr={rpc}", differ: ourStats},
	{args: "info -rpc-addr={rpc} -format=xml"},
	{args: "force-leave -rpc-addr={rpc} nobody"},
	{args: "force-leave -rpc-addr={rpc} -prune nobody"},
	{args: "force-leave -rpc-addr={rpc}"},
	{args: "monitor -rpc-addr={rpc} -log-level=nonsense"},
	{args: "monitor -rpc-addr=127.0.0.1:1"},

	{args: "agent -nonsense"},
	{args: "agent -profile=nonsense", differ: betterError},
	{args: "agent -log-level=nonsense", differ: betterError},
	{args: "agent -encrypt=nonsense", differ: betterError},
	{args: "agent -event-handler=nonsense=x", differ: betterError},
	{args: "agent -config-file=/nonexistent.json", differ: betterError},
	{args: "agent -tag nonsense", differ: betterError},
	{args: "agent -retry-interval=nonsense", differ: betterError},
	{args: "agent -iface=nonsense", differ: betterError},
	{args: "agent -mdns-iface=lo", differ: betterError},
	{args: "agent -bind={gossip} -rpc-addr=127.0.0.1:1", differ: betterError},
	{args: "agent -bind={free} -rpc-addr={rpc}", differ: betterError},
	{args: "agent -bind={free} -rpc-addr={free2} -join=127.0.0.1:1", differ: betterError},

	{args: "leave -rpc-addr=127.0.0.1:1"},
	{args: "leave -rpc-addr={rpc}"},
}

// compatCluster is two agents of one kind, and the program to ask them with.
type compatCluster struct {
	program []string
	one     *proc.Process
	values  *strings.Replacer // {rpc} and so on
	back    *strings.Replacer // the values, to names that both clusters share
}

func newCompatCluster(t *testing.T, program []string) *compatCluster {
	t.Helper()
	const key, key2 = "T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s=", "HvY8ubRZMgafUOWvrOadwOckVa1wN3QWAo46FVKbVN8="
	gossip, rpc, other, otherRPC, free, free2 := loopback.Addr(), loopback.Addr(), loopback.Addr(), loopback.Addr(), loopback.Addr(), loopback.Addr()
	c := &compatCluster{program: program}
	names := []string{"{gossip}", gossip, "{rpc}", rpc, "{other}", other, "{free}", free, "{free2}", free2, "{key}", key, "{key2}", key2}
	c.values = strings.NewReplacer(names...)
	slices.Reverse(names)
	c.back = strings.NewReplacer(names...)
	start := func(name, bind, rpcAddr string, more ...string) *proc.Process {
		args := append(slices.Clone(program[1:]), "agent", "-node="+name, "-bind="+bind, "-rpc-addr="+rpcAddr,
			proc.Profile, "-encrypt="+key, "-event-handler=query:ping-us=echo from $SERF_SELF_NAME",
			"-protocol=4") // which members -detailed shows, and which is not stock's default
		p, err := proc.Start(t.TempDir(), name, os.Environ(), program[0], append(args, more...)...)
		if err != nil {
			t.Fatal(err)
		}
		proc.KillAtEnd(t, p)
		if err := (&proc.Node{Process: p, RPC: rpcAddr}).Answers(); err != nil {
			t.Fatalf("%v: it printed:\n%s", err, p.Printed())
		}
		return p
	}
	start("two", other, otherRPC, "-tag=role=db")
	c.one = start("one", gossip, rpc, "-tag=role=web", "-join="+other)
	testkit.WaitFor(t, "both see both", func() bool {
		out := c.run(compatCase{args: "members -rpc-addr={rpc} -status=alive"}).stdout
		return strings.Contains(out, "one") && strings.Contains(out, "two")
	})
	return c
}

// compatResult is what a command did.
type compatResult struct {
	stdout, stderr string
	status         int
}

func (c *compatCluster) run(test compatCase) compatResult {
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
	defer cancel()
	var args []string
	for i, arg := range strings.Split(test.args, " ") {
		if i > 0 || arg != "" {
			args = append(args, c.values.Replace(arg))
		}
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, c.program[0], append(slices.Clone(c.program[1:]), args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(test.stdin), &stdout, &stderr
	err := cmd.Run()
	status := 0
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		status = e.ExitCode()
	} else if err != nil {
		status = -1
		fmt.Fprint(&stderr, err)
	}
	return compatResult{c.normal(stdout.String()), c.normal(stderr.String()), status}
}

// What differs from run to run: times, local ports, random keys, and the order
// in which members answer or are listed.
var compatNoise = []struct {
	re *regexp.Regexp
	by string
}{
	{regexp.MustCompile(`\d{4}/\d\d/\d\d \d\d:\d\d:\d\d`), "DATE"},
	{regexp.MustCompile(`\b[0-9.]+ ?(ns|µs|ms|s)\b`), "TIME"},
	{regexp.MustCompile(`"port": \d+`), `"port": PORT`},
	{regexp.MustCompile(`127\.0\.0\.1:\d{4,5}`), "ADDR"},
	{regexp.MustCompile(`[A-Za-z0-9+/]{43}=`), "RANDOMKEY"},
	{regexp.MustCompile(`[ \t]+`), " "},
}

func (c *compatCluster) normal(s string) string {
	s = c.back.Replace(s)
	for _, n := range compatNoise {
		s = n.re.ReplaceAllString(s, n.by)
	}
	s = compatTags.ReplaceAllStringFunc(s, func(tags string) string {
		list := strings.Split(tags, ",")
		slices.Sort(list)
		return strings.Join(list, ",")
	})
	if !compatUnordered.MatchString(s) {
		return s
	}
	lines := strings.SplitAfter(s, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "")
}

var (
	compatTags      = regexp.MustCompile(`\w+=\w+(,\w+=\w+)+`)
	compatUnordered = regexp.MustCompile(`from '(one|two)'|"name": |alive|Acks|failed: `)
)

// TestCompat runs each command line with stock serf against stock agents and
// with this program, as serf, against ours, and compares what they print and
// their exit status.
func TestCompat(t *testing.T) {
	if len(compatCases) < 60 {
		t.Fatalf("only %d command lines", len(compatCases))
	}
	ours, err := exec.LookPath("agentctl")
	if err != nil {
		t.Fatal(err)
	}
	theirs := newCompatCluster(t, []string{stock.Serf(t, stock.V011)})
	our := newCompatCluster(t, []string{ours, "serf"})
	differ := 0
	for _, test := range compatCases {
		var want, got compatResult
		var both sync.WaitGroup
		both.Go(func() { want = theirs.run(test) })
		both.Go(func() { got = our.run(test) })
		both.Wait()
		if want.status != got.status {
			t.Errorf("serf %.80s: exit status %d, stock serf has %d\nours:\n%s%s\nstock's:\n%s%s",
				test.args, got.status, want.status, got.stdout, got.stderr, want.stdout, want.stderr)
		}
		if want.stderr != got.stderr {
			t.Errorf("serf %.80s: standard error is\n%s\nand stock serf's is\n%s", test.args, got.stderr, want.stderr)
		}
		switch {
		case test.differ == "" && want.stdout != got.stdout:
			t.Errorf("serf %.80s: standard output is\n%s\nand stock serf's is\n%s", test.args, got.stdout, want.stdout)
		case test.differ != "" && (got.stdout == "") != (want.stdout == ""):
			t.Errorf("serf %.80s: standard output is\n%s\nand stock serf's is\n%s\nalthough only the text may differ", test.args, got.stdout, want.stdout)
		case test.differ != "":
			differ++
			t.Logf("on purpose: serf %.60s: %s\n   ours:  %s   stock: %s", test.args, test.differ, firstLine(got.stdout), firstLine(want.stdout))
		}
	}
	t.Logf("%d command lines, %d of them with a purposeful difference", len(compatCases), differ)
	for name, c := range map[string]*compatCluster{"stock": theirs, "ours": our} {
		if status, err := c.one.Exit(); err != nil || status != 0 {
			t.Errorf("%s: the agent that was told to leave ended with status %d, %v", name, status, err)
		}
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line + "\n"
}

// endedBy starts an agent, sends it a signal once it runs, and returns it with
// its exit status, -1 where the signal ended it.
func endedBy(t *testing.T, program []string, sig os.Signal) (*proc.Process, int) {
	t.Helper()
	rpc := loopback.Addr()
	p, err := proc.Start(t.TempDir(), "agent", os.Environ(), program[0], append(slices.Clone(program[1:]),
		"agent", "-node=n", "-bind="+loopback.Addr(), "-rpc-addr="+rpc, proc.Profile)...)
	if err != nil {
		t.Fatal(err)
	}
	proc.KillAtEnd(t, p)
	if err := (&proc.Node{Process: p, RPC: rpc}).Answers(); err != nil {
		t.Fatal(err)
	}
	testkit.WaitFor(t, "the log streams", func() bool { return strings.Contains(p.Printed(), "Log data will now stream in") })
	p.Cmd.Process.Signal(sig)
	status, err := p.Exit()
	if err != nil {
		t.Fatal(err)
	}
	return p, status
}

// Signals end an agent that stands in for serf as they end serf's.
func TestCompatSignals(t *testing.T) {
	ours, err := exec.LookPath("agentctl")
	if err != nil {
		t.Fatal(err)
	}
	for name, program := range map[string][]string{"stock": {stock.Serf(t, stock.V011)}, "ours": {ours, "serf"}} {
		for sig, want := range map[os.Signal]int{os.Interrupt: 0, syscall.SIGTERM: 1} {
			t.Run(fmt.Sprintf("%s/%v", name, sig), func(t *testing.T) {
				t.Parallel()
				p, status := endedBy(t, program, sig)
				// Stock serf says that it runs before it listens for signals.
				for try := 0; try < 10 && name == "stock" && status < 0; try++ {
					p, status = endedBy(t, program, sig)
				}
				if status != want {
					t.Errorf("ended with status %d, want %d; it printed:\n%s", status, want, p.Printed())
				}
				if errs, _ := os.ReadFile(p.Err); len(errs) > 0 {
					t.Errorf("standard error has %q", errs)
				}
			})
		}
	}
}

// The link that Kong's serf_path names makes the program serf.
func TestCalledAsSerf(t *testing.T) {
	link := proc.BuildAs(t, "serf")
	run := func(env string, args ...string) string {
		cmd := exec.Command(link, args...)
		cmd.Env = append(os.Environ(), env)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("serf %v: %v", args, err)
		}
		return string(out)
	}
	kong := regexp.MustCompile(`^Serf v([0-9.]+)`) // as Kong looks for it
	if m := kong.FindStringSubmatch(run("X=", "version")); m == nil || m[1] != "0.7.0" {
		t.Errorf("serf version: %v, want 0.7.0", m)
	}
	if m := kong.FindStringSubmatch(run("AGENTCTL_SERF_VERSION=0.8.1", "version")); m == nil || m[1] != "0.8.1" {
		t.Errorf("serf version with AGENTCTL_SERF_VERSION: %v", m)
	}
	shim := filepath.Join(filepath.Dir(link), "serf_event.sh")
	if err := os.Symlink("agentctl", shim); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.Command(shim)
	cmd.Stderr = &stderr
	if err := cmd.Run(); err == nil || !strings.Contains(stderr.String(), "SERF_EVENT is not set") {
		t.Errorf("serf_event.sh without an event: %v, %s", err, stderr.String())
	}
}
