package compat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/loopback"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
)

// programs are stock serf and ours, called as serf.
func programs(t *testing.T) (their, our []string) {
	t.Helper()
	ours, err := exec.LookPath("agentctl")
	if err != nil {
		t.Fatal(err)
	}
	return []string{stock.Serf(t, stock.V011)}, []string{ours, "serf"}
}

// plainPrograms are likewise, ours without the race detector: with it, a program takes
// several times as long to start, and hundreds are started.
func plainPrograms(t *testing.T) (their, our []string) {
	t.Helper()
	return []string{stock.Serf(t, stock.V011)}, []string{proc.BuildAs(t, "serf")}
}

// rpcKey is what clients of the third agent of a cluster have to send.
const rpcKey = "sesame"

// cluster is agents of one kind, and the program to ask them with: one and two are a
// cluster, and a third by itself wants a key for RPC.
type cluster struct {
	program []string
	one     *proc.Process
	rpc     string            // of one
	values  *strings.Replacer // {rpc} and so on
	back    *strings.Replacer // the values, to names that both clusters share
}

func newCluster(t *testing.T, program []string) *cluster {
	t.Helper()
	var names []string
	addr := map[string]string{}
	for _, name := range []string{"gossip", "rpc", "other", "otherrpc", "auth", "authgossip"} {
		addr[name] = loopback.Addr()
		names = append(names, "{"+name+"}", addr[name])
	}
	names = append(names, "{authkey}", rpcKey, "{key}", proc.FirstKey, "{key2}", proc.SecondKey)
	c := &cluster{program: program, rpc: addr["rpc"], values: strings.NewReplacer(names...)}
	slices.Reverse(names)
	c.back = strings.NewReplacer(names...)
	start := func(name, bind, rpc string, more ...string) *proc.Process {
		args := slices.Concat(program[1:], []string{"agent", "-node=" + name, "-bind=" + bind, "-rpc-addr=" + rpc,
			proc.Profile, "-event-handler=query:ping-us=echo from $SERF_SELF_NAME",
			"-protocol=4"}, more) // which members -detailed shows, and which is not stock's default
		p, err := proc.Start(t.TempDir(), name, os.Environ(), program[0], args...)
		if err != nil {
			t.Fatal(err)
		}
		proc.KillAtEnd(t, p)
		if err := (&proc.Node{Process: p, RPC: rpc}).Answers(); err != nil {
			t.Fatalf("%v: it printed:\n%s", err, p.Printed())
		}
		return p
	}
	start("two", addr["other"], addr["otherrpc"], "-tag=role=db", "-encrypt="+proc.FirstKey)
	c.one = start("one", addr["gossip"], addr["rpc"], "-tag=role=web", "-join="+addr["other"], "-encrypt="+proc.FirstKey)
	start("three", addr["authgossip"], addr["auth"], "-config-file="+testkit.WriteFile(t, `{"rpc_auth":"`+rpcKey+`"}`))
	testkit.WaitFor(t, "both see both", func() bool {
		out := c.run("members -status=alive").stdout
		return strings.Contains(out, "one") && strings.Contains(out, "two")
	})
	return c
}

// result is what a command or an agent did.
type result struct {
	stdout, stderr string
	status         int // -1: it runs
}

// words takes a line apart. Two quotes are an empty word.
func words(line string) (words []string) {
	for word := range strings.FieldsSeq(line) {
		words = append(words, strings.ReplaceAll(word, "''", ""))
	}
	return words
}

// run runs a command line, by default against agent one.
func (c *cluster) run(line string) result {
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
	defer cancel()
	args := slices.Clone(c.program[1:])
	for _, word := range words(line) {
		args = append(args, c.values.Replace(word))
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, c.program[0], args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append(os.Environ(), "SERF_RPC_ADDR="+c.rpc)
	status := 0
	if err := cmd.Run(); err != nil {
		status = -1
		if e, ok := errors.AsType[*exec.ExitError](err); ok && ctx.Err() == nil {
			status = e.ExitCode()
		} else {
			fmt.Fprint(&stderr, err)
		}
	}
	return result{normal(c.back, stdout.String()), normal(c.back, stderr.String()), status}
}

// noise is what differs from run to run: times, local ports and random keys.
var noise = []struct {
	re *regexp.Regexp
	by string
}{
	{regexp.MustCompile(`\d{4}/\d\d/\d\d \d\d:\d\d:\d\d`), "DATE"},
	{regexp.MustCompile(`\b[0-9.]+ ?(ns|µs|ms|s|sec)\b`), "TIME"},
	{regexp.MustCompile(`"port": \d+`), `"port": PORT`},
	{regexp.MustCompile(`127\.0\.0\.1:\d{4,5}`), "ADDR"},
	{regexp.MustCompile(`[A-Za-z0-9+/]{43}=`), "RANDOMKEY"},
	{regexp.MustCompile(`[A-Za-z0-9+/]{22}==`), "RANDOMKEY16"},
	{regexp.MustCompile(`("?(?:goroutines|event_time|query_time|intent_queue|query_queue|event_queue)"?(?: =|:) "?)\d+`), "${1}N"},
	{regexp.MustCompile(`[ \t]+`), " "},
}

var (
	tagList   = regexp.MustCompile(`\w+=\w*(,\w+=\w*)+`)
	unordered = regexp.MustCompile(`from '(one|two)'|"name": |alive|Acks|failed: |^agent:|\[\d+/\d+\]`)
)

// normal leaves out of a text what differs from run to run, also the order in which
// members answer or are listed.
func normal(back *strings.Replacer, s string) string {
	s = back.Replace(s)
	for _, n := range noise {
		s = n.re.ReplaceAllString(s, n.by)
	}
	s = tagList.ReplaceAllStringFunc(s, func(tags string) string {
		list := strings.Split(tags, ",")
		slices.Sort(list)
		return strings.Join(list, ",")
	})
	if !unordered.MatchString(s) {
		return s
	}
	lines := strings.SplitAfter(s, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "")
}
