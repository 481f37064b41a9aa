package architecture

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

// lossWords are the words of a log line that tells of a loss.
var lossWords = regexp.MustCompile(`\b(lost|lose|loses|lacks?|drop(s|ped)?|buried|anew|given up|not (delivered|handled|written|known)|may not get|does not reach)\b`)

// noLosses are log lines with such words that tell of no loss, each with the reason.
// Kong runs its agent at level err, and nobody sees them there.
var noLosses = map[string]string{
	"a lost member is there, and could not be joined: it is tried again":                                                              "a member is lost, and no event",
	"an operator accepted what this target lacks: it counts as fresh, without a flush":                                                "the loss was told before, and the operator says that it does no harm",
	"a large event does not reach all members":                                                                                        "the publisher is told, and who raised the limit wanted it",
	"a lost member is joined again":                                                                                                   "a member was lost, and no event",
	"link: messages to a peer dropped":                                                                                                "gossip and repair bring them",
	"rpc: records of a stream dropped, the client reads too slowly":                                                                   "a stream is live, and serf says as much at this level",
	"this setting takes effect when the agent is started anew":                                                                        "no event",
	"the keys in the data directory are used, not the one given: to begin anew with that, move the file away":                         "no event",
	"a target is not configured any more: its events are kept until they are older than journal_max_age, and then dropped":            "nothing is dropped yet; when it is, that is an error",
	"the journal is in memory: when the agent ends, it loses the events that wait; set -data-dir to keep them":                        "nothing is lost yet; what is lost at the end is an error",
	"events may be lost before they came here, so the targets are flushed: some Lamport times have no event, and no member sends one": "it is a suspicion, and the flush makes good what may be lost",
}

// TestALossIsLoggedAsAnError looks at all log lines of ours. One that tells of a lost
// event is at level error, so that a log at Kong's level has it.
func TestALossIsLoggedAsAnError(t *testing.T) {
	found := map[string]bool{}
	lines, errors := 0, 0
	logCalls(t, func(at token.Position, level, message string) {
		lines++
		if !lossWords.MatchString(message) {
			return
		}
		if level == "Error" {
			errors++
			return
		}
		found[message] = true
		if noLosses[message] == "" {
			t.Errorf("%s: a line at level %s tells of a loss: %q; make it an error, or say why it is none", at, level, message)
		}
	})
	if lines < 80 || errors < 8 {
		t.Errorf("only %d log lines found, and %d errors that tell of a loss", lines, errors)
	}
	for message := range noLosses {
		if !found[message] {
			t.Errorf("no line says %q any more: its reason is in vain", message)
		}
	}
}

// logCalls calls see for each call of ours that logs, with its level and text.
func logCalls(t *testing.T, see func(at token.Position, level, message string)) {
	t.Helper()
	for _, p := range packages(t) {
		if below(p.name(), "scripts") {
			continue
		}
		fset := token.NewFileSet()
		for _, file := range p.GoFiles {
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, file), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					if level, message := logCall(call); level != "" {
						see(fset.Position(call.Pos()), level, message)
					}
				}
				return true
			})
		}
	}
}

// logCall returns the level of a call that logs, and the text that stands in it: of
// slog's methods, of Log, and of Sampled.Log. Level and text are "" for other calls. A
// level that is no constant counts as Info.
func logCall(call *ast.CallExpr) (level, message string) {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	switch name := sel.Sel.Name; name {
	case "Debug", "Info", "Warn", "Error":
		level = name
	case "Log":
		level = "Info"
	default:
		return "", ""
	}
	for i, arg := range call.Args {
		if s, ok := arg.(*ast.SelectorExpr); ok && slices.Contains([]string{"LevelDebug", "LevelInfo", "LevelWarn", "LevelError"}, s.Sel.Name) {
			level = s.Sel.Name[len("Level"):]
		}
		if i < 3 && message == "" {
			message = constant(arg)
		}
	}
	return level, message
}

// constant is the beginning of an expression that stands in the source: a literal, or
// one with something added.
func constant(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, _ := strconv.Unquote(e.Value) // what is no text is not quoted
		return s
	case *ast.BinaryExpr:
		return constant(e.X)
	}
	return ""
}
