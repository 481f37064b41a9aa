package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mitchellh/cli"

	"agentctl/agent/api"
	"agentctl/scripts/testkit"
)

// shell runs a program that a check installs, or skips the test.
func shell(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		testkit.NotRun(t, "it needs %s, which scripts/check.sh installs", name)
	}
	cmd := exec.Command(name, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil || errs.Len() > 0 {
		t.Fatalf("%s: %v: %s", name, err, errs.String())
	}
	return string(out)
}

// completions writes a shell's script to a file.
func completions(t *testing.T, name string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "_agentctl")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := (&completionCommand{}).print([]string{name}, f); err != nil {
		t.Fatal(err)
	}
	return path
}

// What the agent of fakeOperations has, that a shell is to offer.
var (
	agentTargets = []string{"http://127.0.0.1:8001/cluster/events/#user:kong", "kong"}
	agentEvents  = []string{"5-0f4b3224a0bfdf43", "6-59bd3a0c2ca29d4e"}
)

// fakeOperations is an agent's operations endpoint. Some of its answers do not
// belong on a command line.
func fakeOperations(t *testing.T) (addr string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var answer any
		switch r.URL.Path {
		case "/v1/status":
			var report api.StatusReport
			for _, name := range append([]string{"$(touch x)", "two words", "-flag", "all#*"}, agentTargets...) {
				report.Targets = append(report.Targets, api.TargetReport{Target: name})
			}
			answer = report
		case "/v1/events":
			var page api.EventPage
			for _, id := range agentEvents {
				page.Events = append(page.Events, api.EventReport{ID: id})
			}
			answer = page
		}
		json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// offered checks what a shell offers for each command and for values; ask gives
// the script that prints what is offered behind the given words, and suffix is
// what the shell shows of a flag that takes a value.
func offered(t *testing.T, name, suffix string, run func(script string) string, ask func(words ...string) string) {
	t.Helper()
	var script strings.Builder
	begin := func(what string) { fmt.Fprintf(&script, "echo '# %s'\n", what) }
	begin("commands")
	script.WriteString(ask(""))
	for _, h := range allHelp() {
		begin(h.name)
		script.WriteString(ask(h.name, "-"))
	}
	asked := map[string]struct{ words, want []string }{
		"values":          {[]string{"agent", "-profile="}, []string{"lan", "local", "wan"}},
		"words":           {[]string{"completion", ""}, []string{"bash", "fish", "zsh"}},
		"states":          {[]string{"events", "-state="}, []string{"buried", "delivered", "lost", "outdated", "waiting"}},
		"targets":         {[]string{"events", "-target="}, agentTargets},
		"replay: targets": {[]string{"replay", "-target="}, agentTargets},
		"replay: events":  {[]string{"replay", "-id="}, agentEvents},
		"show: events":    {[]string{"events", "show", ""}, agentEvents},
	}
	for what, a := range asked {
		begin(what)
		script.WriteString(ask(a.words...))
	}
	got := map[string][]string{}
	what := ""
	for line := range strings.Lines(run(script.String())) {
		line = strings.TrimSpace(line)
		if w, ok := strings.CutPrefix(line, "# "); ok {
			what = w
		} else if line != "" && (what != "words" || line[0] != '-') { // bash offers flags, too
			got[what] = append(got[what], line)
		}
	}
	want := map[string][]string{}
	for what, a := range asked {
		want[what] = slices.Clone(a.want)
	}
	for _, h := range allHelp() {
		want["commands"] = append(want["commands"], h.name)
		for _, f := range h.flags {
			flag := "-" + f.name
			if f.kind() != noValue {
				flag += suffix
			}
			want[h.name] = append(want[h.name], flag)
		}
	}
	for what := range want {
		for _, list := range []map[string][]string{got, want} {
			slices.Sort(list[what])
			list[what] = slices.Compact(list[what])
		}
		if !slices.Equal(got[what], want[what]) {
			t.Errorf("%s offers for %q %q, want %q", name, what, got[what], want[what])
		}
	}
}

func TestBashCompletes(t *testing.T) {
	t.Parallel()
	path, ops := completions(t, "bash"), fakeOperations(t)
	offered(t, "bash", "=", func(script string) string {
		return shell(t, "bash", "--norc", "-c", "export AGENTCTL_HTTP_ADDR="+ops+"\nsource "+path+"\n"+script)
	}, func(words ...string) string {
		var list []string
		for _, w := range words { // as bash splits them
			flag, value, given := strings.Cut(w, "=")
			list = append(list, "'"+flag+"'")
			if given {
				list = append(list, "=")
				if value != "" {
					list = append(list, value)
				}
			}
		}
		return fmt.Sprintf("COMP_WORDS=(agentctl %s) COMP_CWORD=%d; _agentctl; printf '%%s\\n' \"${COMPREPLY[@]}\"\n", strings.Join(list, " "), len(list))
	})
}

func TestFishCompletes(t *testing.T) {
	t.Parallel()
	path, ops := completions(t, "fish"), fakeOperations(t)
	offered(t, "fish", "", func(script string) string {
		return shell(t, "fish", "--no-config", "-c", "set -x AGENTCTL_HTTP_ADDR "+ops+"\nsource "+path+"\n"+script+"true")
	}, func(words ...string) string {
		line := "agentctl " + strings.Join(words, " ")
		if flag, ok := strings.CutSuffix(line, "="); ok { // else fish offers -flag=value
			line = flag + " "
		}
		return fmt.Sprintf("complete -C '%s' | string split -f1 \\t\n", line)
	})
}

// Zsh offers nothing without a terminal, so its helpers are replaced by ones
// that print what they are given, which it would offer.
func TestZshCompletes(t *testing.T) {
	t.Parallel()
	path, ops := completions(t, "zsh"), fakeOperations(t)
	shell(t, "zsh", "-n", path)
	const helpers = `
compdef() { : }
_describe() { local c; for c in ${(P)4}; do print -r -- ${c%%:*}; done }
compadd() { print -rl -- ${(P)2} }
act() { if [[ $1 == \(* ]]; then local a=${1#\(}; print -l ${=a%\)}; else eval $1; fi }
_arguments() {
  local a
  for a in "$@"; do
    case $a in
    [0-9]:*) [[ $a == $PLACE:* ]] && act ${a##*:} ;;
    *-$FLAG=*) act ${a##*:} ;;
    *) [[ -z $FLAG$PLACE ]] && { a=${a#\*}; print -r -- ${a%%\[*} } ;;
    esac
  done
}
`
	offered(t, "zsh", "=", func(script string) string {
		return shell(t, "zsh", "-f", "-c", "export AGENTCTL_HTTP_ADDR="+ops+"\n"+helpers+"source "+path+"\n"+script+"true")
	}, func(words ...string) string {
		set := "FLAG= PLACE="
		last := words[len(words)-1]
		if flag, ok := strings.CutSuffix(last, "="); ok {
			set = "PLACE= FLAG=" + strings.TrimPrefix(flag, "-")
		} else if last == "" && len(words) > 1 {
			set = fmt.Sprint("FLAG= PLACE=", len(words)-1)
		}
		return fmt.Sprintf("%s; words=(agentctl %s) CURRENT=%d; () { _agentctl }\n", set, strings.Join(words[:len(words)-1], " ")+" '"+last+"'", len(words)+1)
	})
}

// Bash has words end at colons, so only what is behind the last one is offered.
func TestBashCompletesNamesWithColons(t *testing.T) {
	t.Parallel()
	path, ops := completions(t, "bash"), fakeOperations(t)
	for _, c := range []struct{ words, want string }{
		{"events -target = http", "http://127.0.0.1:8001/cluster/events/#user:kong"},
		{"events -target = http :", "//127.0.0.1:8001/cluster/events/#user:kong"},
		{"events -target = http : //127.0.0.1 : 80", "8001/cluster/events/#user:kong"},
		{"replay -buried -target = k", "kong"},
		{"events show 6", "6-59bd3a0c2ca29d4e"},
		{"events show -raw 6", "6-59bd3a0c2ca29d4e"},
		{"events show -ra", "-raw"},
	} {
		script := fmt.Sprintf("export AGENTCTL_HTTP_ADDR=%s; source %s; COMP_WORDS=(agentctl %s) COMP_CWORD=%d; _agentctl; printf '%%s\\n' \"${COMPREPLY[@]}\"",
			ops, path, c.words, len(strings.Fields(c.words)))
		if got := strings.TrimSpace(shell(t, "bash", "--norc", "-c", script)); got != c.want {
			t.Errorf("%s: offered is %q, want %q", c.words, got, c.want)
		}
	}
}

func TestCompletionValuesErrors(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-values=nonsense"}, {"-values=targets", "bash"}, {"nonsense"}, {}} {
		var out bytes.Buffer
		if err := (&completionCommand{}).print(args, &out); !isUsage(err) || out.Len() > 0 {
			t.Errorf("%q: %v, printed %q", args, err, out.String())
		}
	}
}

func mustCommand(t *testing.T, name string) cli.Command {
	t.Helper()
	cmd, err := commands()[name]()
	if err != nil {
		t.Fatal(err)
	}
	return cmd
}

// The man page is one that man's own checker takes, and has every command and
// flag.
func TestManPage(t *testing.T) {
	t.Parallel()
	var page bytes.Buffer
	if err := writeMan(&page, allHelp()); err != nil {
		t.Fatal(err)
	}
	for _, h := range allHelp() {
		_, section, ok := strings.Cut(page.String(), "\n.SS "+roff(h.name)+"\n")
		if !ok {
			t.Errorf("the man page has no %s", h.name)
		}
		section, _, _ = strings.Cut(section, "\n.S")
		for _, f := range readHelp(h.name, mustCommand(t, h.name)).flags {
			if !strings.Contains(section, "\n.B "+roff("-"+f.name)) {
				t.Errorf("the man page of %s has no -%s", h.name, f.name)
			}
		}
	}
	if table := "\n.PP\n.RS 4\n.nf\nwaiting    the target has not taken the event yet\ndelivered  the target took it\n"; !strings.Contains(page.String(), table) {
		t.Error("the man page does not have the table of \"events -help\" as it is")
	}
	if key := "\n.TP\n.B rpc_auth\nkey that RPC clients have to give\n"; !strings.Contains(page.String(), key) {
		t.Error("the man page does not have the keys of \"agent -help\" as a list")
	}
	path := filepath.Join(t.TempDir(), "agentctl.1")
	if err := os.WriteFile(path, page.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("mandoc"); err != nil {
		testkit.NotRun(t, "it needs mandoc, which scripts/check.sh installs")
	}
	out, _ := exec.Command("mandoc", "-Tlint", "-Wwarning", path).Output() // it fails where it finds something
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, "missing date") { // so that a page is the same whenever it is made
			t.Error(line)
		}
	}
}
