//go:build unix

package script

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	serfagent "github.com/hashicorp/serf/cmd/serf/command/agent"
	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/handler"
	"agentctl/scripts/testkit"
)

// dumped is what a script was given.
type dumped struct {
	Env   []string // SERF_ variables, sorted
	Stdin string
}

// dump is a command that writes its environment and stdin to files, and a
// function that reads them.
func dump(t *testing.T) (command string, read func() dumped) {
	base := filepath.Join(t.TempDir(), "dump")
	return fmt.Sprintf("env -0 >%s.env; cat >%s.in", base, base), func() dumped {
		t.Helper()
		env, err := os.ReadFile(base + ".env")
		if err != nil {
			t.Fatal(err)
		}
		stdin, err := os.ReadFile(base + ".in")
		if err != nil {
			t.Fatal(err)
		}
		var d dumped
		for v := range strings.SplitSeq(string(env), "\x00") {
			if strings.HasPrefix(v, "SERF_") {
				d.Env = append(d.Env, v)
			}
		}
		slices.Sort(d.Env)
		d.Stdin = sortTags(string(stdin))
		return d
	}
}

// sortTags brings the tags of member lines, which stock serf writes in the
// order of a map, into one order.
func sortTags(stdin string) string {
	var out strings.Builder
	for line := range strings.Lines(stdin) {
		if f := strings.Split(strings.TrimSuffix(line, "\n"), "\t"); len(f) == 4 {
			tags := strings.Split(f[3], ",")
			slices.Sort(tags)
			f[3] = strings.Join(tags, ",")
			line = strings.Join(f, "\t") + "\n"
		}
		out.WriteString(line)
	}
	return out.String()
}

// TestScriptGetsWhatStockSerfGives runs one script by stock serf's own code and
// by ours.
func TestScriptGetsWhatStockSerfGives(t *testing.T) {
	t.Parallel()
	self := serf.Member{Name: "self node", Tags: map[string]string{
		"role": "a web", "dc": "east=1", "odd-name.ü": "x\ny", "1st": "", "lower_case": "$HOME `id`", "UP": "\xff",
	}}
	members := []serf.Member{
		{Name: "a\tb\nc", Addr: net.IPv4(10, 0, 0, 1), Tags: map[string]string{"role": "r\t1", "x": "y\nz", "dc": "1"}},
		{Name: "six", Addr: net.ParseIP("fe80::1")},
		{Name: "bare", Addr: net.IPv4(127, 0, 0, 1), Tags: map[string]string{"role": ""}},
	}
	for name, e := range map[string]serf.Event{
		"join":            serf.MemberEvent{Type: serf.EventMemberJoin, Members: members},
		"leave":           serf.MemberEvent{Type: serf.EventMemberLeave, Members: members[:1]},
		"failed":          serf.MemberEvent{Type: serf.EventMemberFailed, Members: members[1:]},
		"update":          serf.MemberEvent{Type: serf.EventMemberUpdate, Members: members[2:]},
		"reap, no member": serf.MemberEvent{Type: serf.EventMemberReap},
		"user":            serf.UserEvent{LTime: 18446744073709551615, Name: "kong", Payload: []byte(`{"a":"b"}`)},
		"user newline":    serf.UserEvent{LTime: 1, Name: "two words", Payload: []byte("line\n")},
		"user newlines":   serf.UserEvent{Name: "a=b", Payload: []byte("\n\n")},
		"user empty":      serf.UserEvent{Name: ""},
		"user binary":     serf.UserEvent{Name: "\xff\n", Payload: []byte("\x00\xff]=]'\"")},
		"user large":      serf.UserEvent{Name: "x", Payload: bytes.Repeat([]byte("0123456789abcdef"), 1<<14)},
		"query":           &serf.Query{LTime: 7, Name: "ask", Payload: []byte("what")},
		"query empty":     &serf.Query{Name: "ask"},
	} {
		t.Run(name, func(t *testing.T) {
			command, read := dump(t)
			var stockLog bytes.Buffer
			stock := &serfagent.ScriptEventHandler{
				SelfFunc: func() serf.Member { return self },
				Scripts:  []serfagent.EventScript{{EventFilter: serfagent.EventFilter{Event: "*"}, Script: command}},
				Logger:   log.New(&stockLog, "", 0),
			}
			stock.HandleEvent(e)
			if strings.Contains(stockLog.String(), "[ERR]") {
				t.Fatalf("stock: %s", &stockLog)
			}
			want := read()
			command, read = dump(t)
			logger, _ := testkit.NewLog()
			if _, err := runScript(t.Context(), command, self, e, logger); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, read()); diff != "" {
				t.Errorf("(-stock +ours):\n%s", diff)
			}
			if len(want.Env) < 3+len(self.Tags) {
				t.Errorf("only %q seen", want.Env)
			}
		})
	}
}

// Stock serf does not run a script for such an event at all.
func TestScriptForANameWithNUL(t *testing.T) {
	t.Parallel()
	command, read := dump(t)
	logger, _ := testkit.NewLog()
	self := serf.Member{Name: "s\x00elf", Tags: map[string]string{"a": "b\x00c"}}
	e := serf.UserEvent{Name: "ko\x00ng", Payload: []byte("a\x00b")}
	if _, err := runScript(t.Context(), command, self, e, logger); err != nil {
		t.Fatal(err)
	}
	want := dumped{[]string{"SERF_EVENT=user", "SERF_SELF_NAME=self", "SERF_SELF_ROLE=", "SERF_TAG_A=bc", "SERF_USER_EVENT=kong", "SERF_USER_LTIME=0"}, "a\x00b\n"}
	if diff := cmp.Diff(want, read()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestScriptOutputIsCutToItsEnd(t *testing.T) {
	t.Parallel()
	logger, log := testkit.NewLog()
	out, err := runScript(t.Context(), `i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; echo the end >&2`, serf.Member{}, scriptEvent(1), logger)
	if err != nil {
		t.Fatal(err)
	}
	if len(out) != 8<<10 || !bytes.HasSuffix(out, []byte("line 1999\nthe end\n")) {
		t.Errorf("%d bytes, the last %q", len(out), out[max(0, len(out)-30):])
	}
	if log.Count("level=WARN", "output is cut", "kept=8192") != 1 {
		t.Errorf("log: %s", log)
	}
	if out, err := runScript(t.Context(), "cat", serf.Member{}, serf.UserEvent{Payload: []byte("hi")}, logger); err != nil || string(out) != "hi\n" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestScriptThatDoesNotReadItsInput(t *testing.T) {
	t.Parallel()
	logger, _ := testkit.NewLog()
	e := serf.UserEvent{Payload: make([]byte, 1<<20)} // more than a pipe holds
	if out, err := runScript(t.Context(), "echo done", serf.Member{}, e, logger); err != nil || string(out) != "done\n" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestScriptThatHangsIsKilledWithItsChildren(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pid")
	logger, log := testkit.NewLog()
	ctx, cancel := context.WithCancel(t.Context())
	reg := prometheus.NewRegistry()
	command := "trap '' TERM; sleep 1000 & echo $! >" + file + "; wait"
	r := New(command, every, func() serf.Member { return serf.Member{} }, logger, NewMetrics(reg))
	r.Offer(Task{Event: scriptEvent(1)})
	go r.Run(ctx, nil)
	child := testkit.PidIn(t, file)
	testkit.WaitFor(t, "the warning that it is slow", func() bool {
		return log.Count("level=WARN", "event handler is slow", "user-event: e1") == 1
	})
	cancel()
	<-r.done
	testkit.WaitFor(t, "the script's child to end", func() bool { return testkit.Gone(child) })
	if log.Count("level=ERROR", "event handler failed", "killed") != 1 {
		t.Errorf("log: %s", log)
	}
	if got := testkit.Counter(t, reg, "agentctl_scripts_run_total", "error"); got != 1 {
		t.Errorf("counted %v scripts that failed, want 1", got)
	}
}

// A child that a script leaves behind with its output must not hold up the next
// events for ever, and lives on, as under serf.
func TestScriptThatLeavesAChildBehind(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pid")
	logger, log := testkit.NewLog()
	out, err := runScript(t.Context(), "sleep 1000 & echo $! >"+file+"; echo done", serf.Member{}, scriptEvent(1), logger)
	child := testkit.PidIn(t, file)
	defer syscall.Kill(child, syscall.SIGKILL)
	if err != nil || string(out) != "done\n" {
		t.Errorf("%q, %v", out, err)
	}
	if log.Count("level=WARN", "left a child behind") != 1 {
		t.Errorf("log: %s", log)
	}
	if testkit.Gone(child) {
		t.Error("the child was killed")
	}
}

func TestScriptsOneAtATimeAndInOrder(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "out")
	logger, log := testkit.NewLog()
	reg := prometheus.NewRegistry()
	command := "echo begin >>" + file + "; cat >>" + file + "; echo end >>" + file + "; [ $SERF_USER_LTIME != 2 ] # http://u:hidden@h"
	r := New(command, handler.Filters{{Type: handler.User}}, func() serf.Member { return serf.Member{} }, logger, NewMetrics(reg))
	want := ""
	for n := range 5 {
		r.Offer(Task{Event: serf.UserEvent{LTime: serf.LamportTime(n), Payload: fmt.Append(nil, n)}})
		want += fmt.Sprintf("begin\n%d\nend\n", n)
	}
	drain := make(chan struct{})
	close(drain)
	if err := r.Run(t.Context(), drain); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if ok, bad := testkit.Counter(t, reg, "agentctl_scripts_run_total", "success"), testkit.Counter(t, reg, "agentctl_scripts_run_total", "error"); ok != 4 || bad != 1 {
		t.Errorf("counted %v and %v, want 4 and 1", ok, bad)
	}
	if log.Count("event handler failed", "exit status 1") != 1 || strings.Contains(log.String(), "hidden") {
		t.Errorf("log: %s", log)
	}
}
