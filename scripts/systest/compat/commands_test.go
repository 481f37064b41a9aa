package compat

import (
	"slices"
	"strings"
	"sync"
	"testing"
)

// kind is what a flag takes.
type kind int

const (
	boolean kind = iota
	text
	repeated // text that may come more than once
)

// flagOf is a flag of a command: what it takes, a value that the command takes, and
// one that it does not, or that matches nothing.
type flagOf struct {
	name      string
	kind      kind
	good, odd string
}

// command is a command of serf's with all its flags, but for those that each has.
type command struct {
	name, args string // args make the line a whole one
	flags      []flagOf
	streams    bool // it does not end by itself once an agent answers
	changes    bool // it changes what others would see, once an agent answers
}

var commands = []command{
	{name: "event", args: "deploy payload", flags: []flagOf{{"coalesce", boolean, "", ""}}},
	{name: "force-leave", args: "nobody", flags: []flagOf{{"prune", boolean, "", ""}}},
	{name: "info", flags: []flagOf{{"format", text, "json", "xml"}}},
	{name: "join", args: "127.0.0.1:1", flags: []flagOf{{"replay", boolean, "", ""}}},
	{name: "keys", flags: []flagOf{
		{"list", boolean, "", ""}, {"install", text, "", "nonsense"}, {"use", text, "", "nonsense"}, {"remove", text, "", "nonsense"},
	}},
	{name: "leave", changes: true},
	{name: "members", flags: []flagOf{
		{"detailed", boolean, "", ""}, {"role", text, "web", "nobody"}, {"status", text, "alive", "nonsense"},
		{"format", text, "json", "xml"}, {"name", text, "o.*", "nobody"}, {"tag", repeated, "role=db", "nonsense"},
	}},
	{name: "monitor", flags: []flagOf{{"log-level", text, "", "nonsense"}}, streams: true},
	{name: "query", args: "-timeout=1s ask payload", flags: []flagOf{
		{"node", repeated, "one", "nobody"}, {"tag", repeated, "role=web", "nonsense"}, {"timeout", text, "1s", "soon"},
		{"no-ack", boolean, "", ""}, {"format", text, "json", "xml"}, {"relay-factor", text, "1", "many"},
	}},
	{name: "reachability", flags: []flagOf{{"verbose", boolean, "", ""}}},
	{name: "rtt", args: "one two"},
	{name: "tags", flags: []flagOf{{"set", repeated, "", "nonsense"}, {"delete", repeated, "", "nonsense"}}},
}

// atOnce are the command lines that change nothing that others see, so that many run
// at a time: what is made of the table of commands, and what it does not make.
func atOnce() (lines []string) {
	add := func(parts ...string) {
		lines = append(lines, strings.Join(strings.Fields(strings.Join(parts, " ")), " "))
	}
	for _, c := range commands {
		for _, bad := range []string{"-h", "-help", "--help", "-nonsense", "-rpc-addr", "-rpc-auth", "-rpc-auth=wrong", "-rpc-addr=", "-rpc-addr=127.0.0.1:1",
			"-rpc-addr=nonsense", "-rpc-addr=127.0.0.1", "-rpc-addr={auth}", "-rpc-addr={auth} -rpc-auth=wrong"} {
			add(c.name, bad, c.args)
		}
		if c.streams || c.changes {
			continue
		}
		add(c.name, "-rpc-addr={auth} -rpc-auth={authkey}", c.args)
		add(c.name, "--rpc-addr={rpc} -rpc-auth=", c.args)
		add(c.name, "--", c.args)
		add(c.name, c.args, "a b c")
		if c.args != "" {
			add(c.name)
		}
		for _, f := range c.flags {
			forms := []string{"", "=", "=" + f.odd}
			switch {
			case f.kind == boolean:
				forms = []string{"", "=", "=true", "=0", "=nonsense", " -" + f.name + "=false"}
			case f.good != "":
				forms = append(forms, " "+f.good, "="+f.good, "="+f.good+" -"+f.name+"="+f.odd)
			}
			for _, form := range forms {
				add(c.name, "-"+f.name+form, c.args)
			}
		}
	}
	lines = append(lines,
		"", "-h", "--help", "help", "-v", "--version", "version", "version -h", "version extra", "nonsense", "-nonsense",
		"keygen", "keygen -h", "keygen extra", "agent -h", "agent --help", "members -v", "event --version deploy",

		"event ''", "event deploy ''", "event deploy -", "event -coalesce=false kong {\"type\":\"ENTITY_UPDATED\"}",
		"event -coalesce=false kong "+strings.Repeat("x", 474), "event big "+strings.Repeat("x", 600),
		"event "+strings.Repeat("n", 513), "event _serf_x", "event "+strings.Repeat("n", 200)+" "+strings.Repeat("x", 250),
		"members -name=(", "members -role=(", "members -status=(", "members -tag role=(", "members -tag role=", "members -tag =web",
		"members -tag role=web -tag role=db", "members -name=one -status=alive -role=web -detailed", "members -detailed -format=json",
		"members -status=left", "members -status=failed -format json",
		"rtt one", "rtt two", "rtt one one", "rtt nobody", "rtt one nobody", "rtt nobody one", "rtt ''",
		"join ''", "join 127.0.0.1:1 127.0.0.1:2", "join -replay nonsense.invalid",
		"keys -list -use {key}", "keys -install {key} -remove {key}", "keys -install=c2hvcnQ=", "keys -list -rpc-addr={auth} -rpc-auth={authkey}",
		"query ''", "query -timeout=1s ask", "query -timeout=1s ask ''", "query -timeout=-1s ask", "query -timeout=2 ask",
		"query -timeout=1s ping-us payload", "query -timeout=1s -no-ack ping-us", "query -timeout=1s -format=json -node=one ping-us",
		"query -timeout=1s -node=one -node=two ping-us", "query -timeout=1s -tag role=d.* ping-us", "query -tag role=( -timeout=1s x",
		"query -relay-factor=300 x", "query -relay-factor=-1 x", "query -relay-factor=0 -timeout=1s x", "query _serf_list-keys", "query _serf_ping",
		"query big "+strings.Repeat("x", 1100), "query -timeout=1s big "+strings.Repeat("x", 900), "query "+strings.Repeat("n", 1100),
		"force-leave ''", "force-leave nobody nobody2", "force-leave -prune ''",
		"tags -set nonsense", "tags -set =x", "tags -set", "tags -delete", "tags -set big="+strings.Repeat("x", 600),
		"monitor -log-level=", "monitor -log-level=ERROR", "monitor -log-level=warning", "info -format=", "info -format=JSON",
	)
	slices.Sort(lines)
	return slices.Compact(lines)
}

// inOrder are the command lines that change what others see. They run one after the
// other, behind those of atOnce. What is declared of them begins with "then".
var inOrder = []string{
	"tags -set a=1 -set b=2", "members -tag a=1", "members -format=json -name=one", "tags -set a=", "members -tag a=", "tags -delete a -delete b",
	"tags -delete never-set", "tags -set role=web -delete role", "members -name=one", "tags -set role=web", "info",
	"join {other}", "join -replay {other}", "join {other} 127.0.0.1:1", "join {other} {other}",
	"keys -install {key2}", "keys -list", "keys -use {key2}", "keys -remove {key2}", "keys -remove {key}", "keys -use {key}", "keys -list",
	"keys -install {key}", "keys -use {key}", "keys -remove {key2}", "reachability -verbose",
	"query -timeout=3s ping-us payload", "force-leave one-that-never-was", "members", "members -format json",
	"leave extra",
}

// TestCompat runs each command line with stock serf against stock agents and with this
// program, as serf, against ours, and compares what they print and their exit status.
func TestCompat(t *testing.T) {
	t.Parallel()
	their, our := plainPrograms(t)
	theirs, ours := newCluster(t, their), newCluster(t, our)
	found := newFindings("commands")
	compare := func(key, line string) {
		var want, got result
		for try := 0; try == 0 || asks(line) && want != got && try < 20; try++ {
			var both sync.WaitGroup
			both.Go(func() { want = theirs.run(line) })
			both.Go(func() { got = ours.run(line) })
			both.Wait()
		}
		found.add(key, want, got)
	}
	lines := atOnce()
	each(lines, 16, func(line string) { compare(line, line) })
	for _, line := range inOrder {
		compare("then "+line, line)
	}
	lines = append(lines, inOrder...)
	found.report(t, len(lines), "command lines")
	for name, c := range map[string]*cluster{"stock": theirs, "ours": ours} {
		if status, err := c.one.Exit(); err != nil || status != 0 {
			t.Errorf("%s: the agent that was told to leave ended with status %d, %v", name, status, err)
		}
	}
}

// asks tells whether members answer to a command in packets, which may be lost: of stock
// serf's queries on a busy machine, too, one of some hundred lacks an answer.
func asks(line string) bool {
	return strings.HasPrefix(line, "query ") || strings.HasPrefix(line, "reachability")
}

// each calls f for all lines, some at a time: most of them wait for an agent.
func each(lines []string, atATime int, f func(line string)) {
	var all sync.WaitGroup
	work := make(chan string)
	for range atATime {
		all.Go(func() {
			for line := range work {
				f(line)
			}
		})
	}
	for line := range slices.Values(lines) {
		work <- line
	}
	close(work)
	all.Wait()
}
