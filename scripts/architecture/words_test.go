package architecture

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/hashicorp/serf/serf"
)

// wordsPage is the page that has every word for a state.
const wordsPage = "agent/ops/WORDS.md"

// stateTypes are our types of words for states, and the section of the page that has
// the words of each.
var stateTypes = map[string]string{
	"agent/api.TargetState":        "A target",
	"handler/delivery.State":       "A target",
	"agent/api.Why":                "The wait for the next attempt",
	"handler/delivery.Why":         "The wait for the next attempt",
	"agent/api.OutcomeState":       "An event at a target of this node",
	"handler/journal.OutcomeState": "An event at a target of this node",
	"agent/api.NodeState":          "An event at every node",
	"agent/api.AnswerState":        "How a member is",
}

// otherWords are our other types of constant texts, with what they are.
var otherWords = map[string]string{
	"handler.Type":           "types of events",
	"rpcclient/wire.Command": "commands of serf's RPC",
}

const (
	healthWords  = "Health"
	memberWords  = "The node and the members"
	managerWords = "What the service manager hears"
	logWords     = "What the log says is over, or has begun"
)

// overWords are the words of a log line that says that something is over, or has begun.
// goOn are those of one that says what is done about something that goes on.
var (
	overWords = regexp.MustCompile(`( again| any more)$|^(agent is running|configuration reloaded|stopped|joined the cluster)$`)
	goOn      = regexp.MustCompile(`(tried|trying|sends them) again$`)
)

// isOver tells whether a line of the log says that something is over, or has begun.
func isOver(message string) bool { return overWords.MatchString(message) && !goOn.MatchString(message) }

// notOver are such lines that speak of no state, each with the reason.
var notOver = map[string]string{
	"a target is not served any more": "it says what a reload did",
}

// wordRow is a row of the page.
type wordRow struct {
	section        string
	line           int
	words          []string
	meaning, limit string
	tests          []string
}

var codeSpan = regexp.MustCompile("`([^`]+)`")

// wordRows reads the tables of the page.
func wordRows(t *testing.T) (rows []wordRow) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../..", filepath.FromSlash(wordsPage)))
	if err != nil {
		t.Fatal(err)
	}
	spans := func(cell string) (all []string) {
		for _, m := range codeSpan.FindAllStringSubmatch(cell, -1) {
			all = append(all, m[1])
		}
		return all
	}
	section := ""
	for i, line := range strings.Split(string(text), "\n") {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			section = title
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		if len(cells) != 4 {
			t.Fatalf("%s:%d: the row has %d cells, want 4", wordsPage, i+1, len(cells))
		}
		rows = append(rows, wordRow{section, i + 1, spans(cells[0]), cells[1], cells[2], spans(cells[3])})
	}
	return rows
}

// said are the texts that the program has in its code.
type said struct {
	constants map[string][]string // by type, such as "agent/api.NodeState"
	literals  []string            // all of them, quoted ones apart
	health    []string            // of the field Status of a health report, and names of probes
	notify    []string            // names of package daemon's states
}

// readSaid reads the code of the program, without tests and scripts.
func readSaid(t *testing.T) *said {
	t.Helper()
	s := &said{constants: map[string][]string{}}
	for _, p := range packages(t) {
		if below(p.name(), "scripts") {
			continue
		}
		for _, file := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			s.read(p.name(), f)
		}
	}
	return s
}

// literal is the value of a text in the code.
func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}

func (s *said) read(pkg string, f *ast.File) {
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			typ, ok := n.Type.(*ast.Ident)
			for _, v := range n.Values {
				if text, is := literal(v); is && ok && typ.Name != "string" {
					s.constants[pkg+"."+typ.Name] = append(s.constants[pkg+"."+typ.Name], text)
				}
			}
		case *ast.BasicLit:
			if text, ok := literal(n); ok {
				s.literals = append(s.literals, text)
			}
		case *ast.CompositeLit:
			if sel, ok := n.Type.(*ast.SelectorExpr); ok && sel.Sel.Name == "HealthReport" {
				s.health = append(s.health, valuesOf(n, "Status")...)
			}
		case *ast.AssignStmt:
			if sel, ok := n.Lhs[0].(*ast.SelectorExpr); ok && sel.Sel.Name == "Status" {
				if text, ok := literal(n.Rhs[0]); ok {
					s.health = append(s.health, text)
				}
			}
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Probes" {
				if probes, ok := n.Value.(*ast.CompositeLit); ok {
					for _, e := range probes.Elts {
						if text, ok := literal(e.(*ast.KeyValueExpr).Key); ok {
							s.health = append(s.health, text)
						}
					}
				}
			}
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "daemon" && strings.HasPrefix(n.Sel.Name, "SdNotify") {
				s.notify = append(s.notify, n.Sel.Name)
			}
		}
		return true
	})
}

// valuesOf are the texts of a field in a literal of a struct.
func valuesOf(lit *ast.CompositeLit, field string) (texts []string) {
	for _, e := range lit.Elts {
		kv, ok := e.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		if key, ok := kv.Key.(*ast.Ident); ok && key.Name == field {
			if text, ok := literal(kv.Value); ok {
				texts = append(texts, text)
			}
		}
	}
	return texts
}

// notifyTexts are the states of package daemon that are states of ours; "" for its
// functions.
var notifyTexts = map[string]string{
	"SdNotify": "", "SdNotifyMonotonicUsec": "",
	"SdNotifyReady": daemon.SdNotifyReady, "SdNotifyStopping": daemon.SdNotifyStopping,
	"SdNotifyReloading": daemon.SdNotifyReloading, "SdNotifyWatchdog": daemon.SdNotifyWatchdog,
}

// serfStates are serf's words for a member and for a node.
func serfStates() (words []string) {
	for _, s := range []serf.MemberStatus{serf.StatusAlive, serf.StatusLeaving, serf.StatusLeft, serf.StatusFailed} {
		words = append(words, s.String())
	}
	for _, s := range []serf.SerfState{serf.SerfAlive, serf.SerfLeaving, serf.SerfLeft, serf.SerfShutdown} {
		words = append(words, s.String())
	}
	return words
}

// TestEveryWordForAStateIsOnThePage compares the page with the code: each word of the code
// is in its section, with what makes it true and what it cannot know; each word of the page
// is in the code; and each test that the page names is there.
func TestEveryWordForAStateIsOnThePage(t *testing.T) {
	code := readSaid(t)
	has := map[string][]string{} // the words of each section
	tests := map[string]bool{}
	for _, row := range wordRows(t) {
		has[row.section] = append(has[row.section], row.words...)
		if len(row.words) == 0 || row.meaning == "" || row.limit == "" || len(row.tests) == 0 {
			t.Errorf("%s:%d: the row lacks a word, what makes it true, what it cannot know, or a test", wordsPage, row.line)
		}
		for _, word := range row.words {
			if !code.says(word) {
				t.Errorf("%s:%d: the program does not say %q any more", wordsPage, row.line, word)
			}
		}
		for _, test := range row.tests {
			tests[test] = true
		}
	}
	want := func(section, what, word string) {
		t.Helper()
		if !slices.Contains(has[section], word) {
			t.Errorf("%s: the section %q lacks %q of %s: say what makes it true, what it cannot know, and which test catches the lie", wordsPage, section, word, what)
		}
	}

	for _, typ := range slices.Sorted(maps.Keys(code.constants)) {
		section, states := stateTypes[typ], code.constants[typ]
		if section == "" && otherWords[typ] == "" {
			t.Errorf("%s is a type of words that is in neither list: name the section of %s that has them, or what they are", typ, wordsPage)
			continue
		}
		for _, word := range states {
			if section != "" {
				want(section, typ, word)
			}
		}
	}
	for typ := range stateTypes {
		if len(code.constants[typ]) == 0 {
			t.Errorf("there is no type %s with constants", typ)
		}
	}
	for typ := range otherWords {
		if len(code.constants[typ]) == 0 {
			t.Errorf("there is no type %s with constants", typ)
		}
	}
	for _, word := range code.health {
		want(healthWords, "a health report or a probe", word)
	}
	for _, word := range serfStates() {
		want(memberWords, "serf", word)
	}
	for _, name := range code.notify {
		if text, ok := notifyTexts[name]; !ok {
			t.Errorf("the service manager is told daemon.%s: add it to this test", name)
		} else if text != "" {
			want(managerWords, "package daemon", text)
		}
	}
	for _, text := range code.literals {
		if state := strings.TrimSpace(text); strings.HasPrefix(state, "STATUS=") {
			want(managerWords, "the service manager", state)
		}
		if strings.HasPrefix(text, "target ") && isOver(text) {
			want(logWords, "the log", text)
		}
	}
	found := map[string]bool{}
	logCalls(t, func(_ token.Position, level, message string) {
		switch {
		case level == "Debug" || !isOver(message):
		case notOver[message] != "":
			found[message] = true
		default:
			want(logWords, "the log", message)
		}
	})
	for message := range notOver {
		if !found[message] {
			t.Errorf("no line says %q any more: its reason is in vain", message)
		}
	}
	for _, test := range slices.Sorted(maps.Keys(tests)) {
		testIsThere(t, test)
	}
	if len(code.health) < 10 || len(tests) < 50 || len(code.notify) < 4 {
		t.Errorf("only %d words of health, %d of the service manager and %d tests found", len(code.health), len(code.notify), len(tests))
	}
}

// says tells whether the program has a word in one of its texts.
func (s *said) says(word string) bool {
	if slices.Contains(serfStates(), word) || slices.Contains(slices.Collect(maps.Values(notifyTexts)), word) {
		return true
	}
	whole := regexp.MustCompile(`(^|[^a-z_])` + regexp.QuoteMeta(word) + `($|[^a-z_])`)
	return slices.ContainsFunc(s.literals, func(text string) bool {
		// The names of metrics are made of parts.
		return whole.MatchString(text) || whole.MatchString("agentctl_"+text) || whole.MatchString("agentctl_members_"+text)
	})
}

// testIsThere looks for a test, as the page names it: the folder and the name.
func testIsThere(t *testing.T, test string) {
	t.Helper()
	folder, name, ok := strings.Cut(test, " ")
	files, err := filepath.Glob(filepath.Join("../..", filepath.FromSlash(folder), "*_test.go"))
	if !ok || err != nil || len(files) == 0 {
		t.Errorf("%s: %q is no folder with tests, and the name of one", wordsPage, test)
		return
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\nfunc "+name+"(t *testing.T) {") {
			return
		}
	}
	t.Errorf("%s: there is no test %s in %s", wordsPage, name, folder)
}
