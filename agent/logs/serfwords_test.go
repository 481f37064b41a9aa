package logs

import (
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// notSaid are the lines of stock serf's agent that no line of ours stands for.
var notSaid = map[string]string{
	"[ERR] Error writing payload: %s":                       "a script need not read its input",
	"[ERR] agent.ipc: shutdown failed: %v":                  "an agent that was told to leave ends in any case",
	"[ERR] agent.ipc: Failed to stream ack to %v: %v":       "a client that went away is no error: the debug log has its end",
	"[ERR] agent.ipc: Failed to stream response to %v: %v":  "likewise",
	"[ERR] agent.ipc: Failed to stream query end to %v: %v": "likewise",
	"[ERR] agent.ipc: Failed to stream event to %v: %v":     "likewise",
	"[ERR] agent.ipc: Failed to stream log to %v: %v":       "likewise",
	"[WARN] agent.ipc: Dropping event to %v":                "one line says how many records of all its streams a slow client lost",
	"[WARN] agent.ipc: Dropping logs to %v":                 "likewise",
}

// Each line that stock serf's agent can write has its row here, at its level and in
// its words, or a reason why it has none; and no row has words that are not serf's.
func TestWordsAreSerfs(t *testing.T) {
	ours := map[string]string{}
	for msg, w := range serfWords {
		if w.format != "" {
			ours[fmt.Sprintf("[%s] %s", levelName(w.level), w.format)] = msg
		}
	}
	theirs := map[string]bool{}
	pkg, err := build.Import("github.com/hashicorp/serf/cmd/serf/command/agent", ".", build.FindOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range callsIn(t, pkg.Dir) {
		switch call.name {
		case "Printf", "Print", "Println":
		default:
			continue
		}
		if text := call.texts[0]; strings.HasPrefix(text, "[") {
			theirs[text] = true
		}
	}
	if len(theirs) < 50 {
		t.Errorf("serf's source has only %d lines", len(theirs))
	}
	for text := range theirs {
		if (ours[text] == "") == (notSaid[text] == "") {
			t.Errorf("serf writes %q: there has to be either a row or a reason for none", text)
		}
	}
	for text, msg := range ours {
		if !theirs[text] {
			t.Errorf("%q is to be worded %q, which serf does not write", msg, text)
		}
	}
	for text := range notSaid {
		if !theirs[text] {
			t.Errorf("serf does not write %q: the reason is in vain", text)
		}
	}
}

// Each row is of a message that some part logs, with all that its words take.
func TestEachOfSerfsWordsHasItsLine(t *testing.T) {
	calls := map[string][]call{}
	for _, root := range []string{"..", "../../cmd/agentctl"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() && d.Name() != "testdata" {
				for _, c := range callsIn(t, path) {
					for i, text := range c.texts {
						if text != "" {
							calls[text] = append(calls[text], call{c.name, c.texts[i:]})
						}
					}
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	logging := []string{"Debug", "Info", "Warn", "Error", "Log", ""}
	for msg, w := range serfWords {
		found := false
		for _, c := range calls[msg] {
			found = found || slices.Contains(logging, c.name)
			if !slices.Contains([]string{"Debug", "Info", "Warn", "Error"}, c.name) {
				continue // reject and With: the attributes stand elsewhere
			}
			for _, key := range w.args {
				if key != "script" && !slices.Contains(c.texts, key) {
					t.Errorf("%q is logged without %q, which serf's words take", msg, key)
				}
			}
		}
		if !found {
			t.Errorf("nothing logs %q", msg)
		}
	}
}

// call is a call with its literal texts; "" stands for any other argument. The texts of
// ForSerf count as those of the call that they are in. What is assigned, and the literals
// of a map, are calls without a name.
type call struct {
	name  string
	texts []string
}

// callsIn are the calls with a text in the files of a folder, but for its tests.
func callsIn(t *testing.T, dir string) (all []call) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	literal := func(e ast.Expr) string {
		if l, ok := e.(*ast.BasicLit); ok && l.Kind == token.STRING {
			text, _ := strconv.Unquote(l.Value)
			return text
		}
		return ""
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") || filepath.Base(path) == "serfwords.go" {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.KeyValueExpr:
				if text := literal(n.Value); text != "" {
					all = append(all, call{"", []string{text}})
				}
			case *ast.AssignStmt:
				for _, value := range n.Rhs {
					if text := literal(value); text != "" {
						all = append(all, call{"", []string{text}})
					}
				}
			case *ast.CallExpr:
				sel, ok := n.Fun.(*ast.SelectorExpr)
				if !ok || len(n.Args) == 0 {
					return true
				}
				c := call{name: sel.Sel.Name}
				for _, a := range n.Args {
					text := literal(a)
					if in, ok := a.(*ast.CallExpr); ok && text == "" && len(in.Args) > 0 {
						text = literal(in.Args[0])
					}
					c.texts = append(c.texts, text)
				}
				all = append(all, c)
			}
			return true
		})
	}
	return all
}

// As serf, a line of ours that serf writes too is written in serf's words and at its
// level, for the output, for monitors and for syslog. A line of our own keeps its words.
func TestLinesInSerfsWords(t *testing.T) {
	for _, format := range []string{"serf", "text"} {
		t.Run(format, func(t *testing.T) {
			var out output
			var monitor, syslog []string
			h := New(Config{Out: &out, Format: format, Level: slog.LevelInfo, Syslog: func(level slog.Level, text string) {
				syslog = append(syslog, levelName(level)+" "+text)
			}})
			h.Subscribe(slog.LevelInfo, func(line string) { monitor = append(monitor, line) })
			l := h.Logger()
			l.Debug("joining", "addrs", []string{"a", "b:1"}, "replay", true)
			l.Debug("joining", "addrs", "the other attribute is lacking")
			l.Info("joined the cluster", "contacted", 1)
			script := &Sampled{Logger: l.With("script", "x.sh")}
			for range 3 {
				script.Log(slog.LevelError, "event handler failed", time.Minute, "error", errors.New("exit status 2\nforged"))
			}
			l.Debug("publishing", "event", "deploy", "bytes", 3, "coalesce", true, ForSerf("payload", "a\"b"))
			h.EventLogger().Debug("event received", "event", "user-event: deploy")
			l.Info("the journal is open", "events", 3, ForSerf("x", 1))
			h.StdLogger().Print("[WARN] serf: as it is")
			h.Close()

			stamp := regexp.MustCompile(`(^ *\d{4}/\d\d/\d\d \d\d:\d\d:\d\d |^time=\S+ )`)
			bare := func(lines []string) (bare []string) {
				for _, l := range lines {
					bare = append(bare, stamp.ReplaceAllString(l, ""))
				}
				return bare
			}
			want := map[string][]string{"serf": {
				"[INFO] agent: joining: [a b:1] replay: true",
				`[INFO] agent: joining: addrs="the other attribute is lacking"`,
				"[ERR] agent: Error invoking script 'x.sh': exit status 2\\nforged",
				"[ERR] agent: Error invoking script 'x.sh': exit status 2\\nforged",
				"[ERR] agent: Error invoking script 'x.sh': exit status 2\\nforged",
				`[DEBUG] agent: Requesting user event send: deploy. Coalesced: true. Payload: "a\"b"`,
				"[INFO] agent: Received event: user-event: deploy",
				"[INFO] agent: the journal is open: events=3",
				"[WARN] serf: as it is",
			}, "text": {
				`[DEBUG] agent: joining: addrs="[a b:1]" replay=true`,
				`[DEBUG] agent: joining: addrs="the other attribute is lacking"`,
				"[INFO] agent: joined the cluster: contacted=1",
				`[ERR] agent: event handler failed: script=x.sh error="exit status 2\nforged"`,
				"[DEBUG] agent: publishing: event=deploy bytes=3 coalesce=true",
				"[INFO] agent: the journal is open: events=3",
				"[WARN] serf: as it is",
			}}[format]
			if diff := cmp.Diff(want, bare(monitor)); diff != "" {
				t.Errorf("a monitor gets (-want +got):\n%s", diff)
			}
			want = slices.DeleteFunc(slices.Clone(want), func(l string) bool { return strings.HasPrefix(l, "[DEBUG]") })
			if format == "serf" {
				if diff := cmp.Diff(want, bare(out.lines())); diff != "" {
					t.Errorf("the output gets (-want +got):\n%s", diff)
				}
			} else if n := len(out.lines()); n != len(want) || strings.Contains(out.String(), "ForSerf") || strings.Contains(out.String(), "x=") {
				t.Errorf("the output is %q", out.lines())
			}
			level := regexp.MustCompile(`^\[(\w+)\] `)
			for i, l := range want {
				if format == "serf" {
					want[i] = level.ReplaceAllString(l, "$1 ")
				} else {
					want[i] = strings.Replace(level.ReplaceAllString(l, "$1 [$1] "), " agent: ", " ", 1)
				}
			}
			if diff := cmp.Diff(want, syslog); diff != "" {
				t.Errorf("syslog gets (-want +got):\n%s", diff)
			}
		})
	}
}
