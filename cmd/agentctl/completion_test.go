package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mitchellh/cli"
)

// shell runs a program that a check installs, or skips the test.
func shell(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed; scripts/check.sh installs it", name)
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
	begin("values")
	script.WriteString(ask("agent", "-profile="))
	begin("words")
	script.WriteString(ask("completion", ""))
	got := map[string][]string{}
	what := ""
	for line := range strings.Lines(run(script.String())) {
		line = strings.TrimSpace(line)
		if w, ok := strings.CutPrefix(line, "# "); ok {
			what = w
		} else if line != "" {
			got[what] = append(got[what], line)
		}
	}
	want := map[string][]string{"values": {"lan", "local", "wan"}, "words": {"bash", "fish", "zsh"}}
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
	path := completions(t, "bash")
	offered(t, "bash", "=", func(script string) string {
		return shell(t, "bash", "--norc", "-c", "source "+path+"\n"+script)
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
	path := completions(t, "fish")
	offered(t, "fish", "", func(script string) string {
		return shell(t, "fish", "--no-config", "-c", "source "+path+"\n"+script+"true")
	}, func(words ...string) string {
		line := strings.Replace("agentctl "+strings.Join(words, " "), "-profile=", "-profile ", 1)
		return fmt.Sprintf("complete -C '%s' | string split -f1 \\t\n", line)
	})
}

// Zsh offers nothing without a terminal, so its helpers are replaced by ones
// that print what they are given, which it would offer.
func TestZshCompletes(t *testing.T) {
	t.Parallel()
	path := completions(t, "zsh")
	shell(t, "zsh", "-n", path)
	const helpers = `
compdef() { : }
_describe() { local c; for c in ${(P)4}; do print -r -- ${c%%:*}; done }
_arguments() {
  local a
  for a in "$@"; do
    case $a in
    1:*) [[ -n $WORDS ]] && { a=${a##*\(}; print -l ${=a%\)} } ;;
    *-profile=*) if [[ -n $VALUE ]]; then a=${a##*\(}; print -l ${=a%\)}; else print -r -- -profile=; fi ;;
    *) [[ -z $VALUE$WORDS ]] && { a=${a#\*}; print -r -- ${a%%\[*} } ;;
    esac
  done
}
`
	offered(t, "zsh", "=", func(script string) string {
		return shell(t, "zsh", "-f", "-c", helpers+"source "+path+"\n"+script)
	}, func(words ...string) string {
		set := "VALUE= WORDS="
		last := words[len(words)-1]
		if strings.HasSuffix(last, "=") {
			set = "VALUE=1 WORDS="
		} else if last == "" && len(words) > 1 {
			set = "VALUE= WORDS=1"
		}
		return fmt.Sprintf("%s; words=(agentctl %s) CURRENT=%d; () { _agentctl }\n", set, strings.Join(words[:len(words)-1], " ")+" '"+last+"'", len(words)+1)
	})
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
	path := filepath.Join(t.TempDir(), "agentctl.1")
	if err := os.WriteFile(path, page.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("mandoc"); err != nil {
		t.Skip("mandoc is not installed; scripts/check.sh installs it")
	}
	out, _ := exec.Command("mandoc", "-Tlint", "-Wwarning", path).Output() // it fails where it finds something
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, "missing date") { // so that a page is the same whenever it is made
			t.Error(line)
		}
	}
}
