package compat

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// page is where each reason for a difference stands for people to read.
const page = "../../../agent/COMPATIBILITY.md"

// findings are the differences between stock serf and ours that a test has found. Those
// that are there on purpose stand in testdata/NAME.txt, below a line "[REASON] WHAT",
// where WHAT is what differs: "stdout", "stderr", "status", and "silence" where only one
// of the two prints anything to standard output. The reason's text stands in the page on
// compatibility.
type findings struct {
	file string
	mu   sync.Mutex
	all  map[string]finding
}

type finding struct {
	what      string
	want, got result
}

func newFindings(name string) *findings {
	return &findings{file: filepath.Join("testdata", name+".txt"), all: map[string]finding{}}
}

func (f *findings) add(line string, want, got result) {
	var what []string
	note := func(differs bool, name string) {
		if differs {
			what = append(what, name)
		}
	}
	note(want.status != got.status, "status")
	note(want.stderr != got.stderr, "stderr")
	note(want.stdout != got.stdout, "stdout")
	note((want.stdout == "") != (got.stdout == ""), "silence")
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all[line].what != "" {
		return // a line that runs again, later in its list
	}
	f.all[line] = finding{strings.Join(what, "+"), want, got}
}

var declaration = regexp.MustCompile(`^\[([\w-]+)\] (\S+)$`)

// declared are the differences of the file: what differs, by line, and the reasons.
func (f *findings) declared(t *testing.T) (what, reasons map[string]string) {
	t.Helper()
	what, reasons = map[string]string{}, map[string]string{}
	data, err := os.ReadFile(f.file)
	if err != nil {
		t.Fatal(err)
	}
	var section []string
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		if m := declaration.FindStringSubmatch(line); m != nil {
			section = m
			continue
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		line = longWord(line)
		if what[line] != "" {
			t.Errorf("%s: %.60s is declared twice", f.file, line)
		}
		what[line], reasons[line] = section[2], section[1]
	}
	return what, reasons
}

var repeats = regexp.MustCompile(`(\w)\{(\d+)\}`)

// longWord writes x{600} out.
func longWord(line string) string {
	return repeats.ReplaceAllStringFunc(line, func(s string) string {
		m := repeats.FindStringSubmatch(s)
		n, _ := strconv.Atoi(m[2])
		return strings.Repeat(m[1], n)
	})
}

// shortWord is the reverse of longWord.
func shortWord(line string) string {
	for _, c := range []string{"x", "n"} {
		line = regexp.MustCompile(c+`{20,}`).ReplaceAllStringFunc(line, func(s string) string { return fmt.Sprintf("%s{%d}", c, len(s)) })
	}
	return line
}

// report fails the test for each difference that is not declared, and for each
// declaration that does not apply. It prints the others with their reasons.
func (f *findings) report(t *testing.T, cases int, of string) {
	t.Helper()
	what, reasons := f.declared(t)
	texts := pageReasons(t)
	differ := 0
	for line, found := range f.all {
		if found.what == "" {
			continue
		}
		differ++
		switch {
		case what[line] == "":
			t.Errorf("undeclared: %s: %s\nours, status %d:\n%s%s\nstock's, status %d:\n%s%s", found.what, shortWord(line),
				found.got.status, found.got.stdout, found.got.stderr, found.want.status, found.want.stdout, found.want.stderr)
		case what[line] != found.what:
			t.Errorf("%s: %s differs, not %s\nours, status %d:\n%s%s\nstock's, status %d:\n%s%s", shortWord(line), found.what, what[line],
				found.got.status, found.got.stdout, found.got.stderr, found.want.status, found.want.stdout, found.want.stderr)
		default:
			t.Logf("on purpose: serf %s: %s\n   ours:  %s\n   stock: %s", shortWord(line), texts[reasons[line]], firstLine(found.got.stdout), firstLine(found.want.stdout))
		}
	}
	for line := range what {
		if found, run := f.all[line]; !run {
			t.Errorf("%s declares what does not run: %s", f.file, shortWord(line))
		} else if found.what == "" {
			t.Errorf("no difference any more, so the declaration is in vain: %s", shortWord(line))
		}
		if texts[reasons[line]] == "" {
			t.Errorf("%s: the page on compatibility does not say what %s is", f.file, reasons[line])
		}
	}
	t.Logf("%d %s, %d of them with a purposeful difference", cases, of, differ)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

var pageReason = regexp.MustCompile("(?m)^\\| `([a-z0-9-]+)` \\| (.*) \\|$")

// pageReasons are the reasons in the page's section on the comparison.
func pageReasons(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(data), "\n## See the differences for yourself\n")
	reasons := map[string]string{}
	for _, m := range pageReason.FindAllStringSubmatch(section, -1) {
		reasons[m[1]] = m[2]
	}
	return reasons
}

// The page says how many lines are compared, and gives the reasons that are in use.
func TestCompatPage(t *testing.T) {
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(data)), " ")
	for of, cases := range map[string]int{"command lines": len(atOnce()) + len(inOrder), "configurations": len(configurations()) + len(alone)} {
		if want := fmt.Sprintf("%d %s", cases, of); !strings.Contains(text, want) {
			t.Errorf("the page on compatibility does not say %q", want)
		}
	}
	used := map[string]bool{}
	for _, name := range []string{"commands", "configurations", "alone"} {
		_, reasons := newFindings(name).declared(t)
		for _, reason := range reasons {
			used[reason] = true
		}
	}
	for reason := range pageReasons(t) {
		if !used[reason] {
			t.Errorf("the page on compatibility has the reason %s, which no difference has", reason)
		}
	}
	if n := len(atOnce()) + len(inOrder); n < 400 {
		t.Errorf("only %d command lines", n)
	}
	if n := len(configurations()); n < 200 {
		t.Errorf("only %d configurations", n)
	}
	if lines := slices.Sorted(slices.Values(configurations())); len(slices.Compact(lines)) != len(configurations()) {
		t.Error("a configuration stands there twice")
	}
}
