package architecture

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"testing"
)

// maxLogMessage is how many bytes a message of the log has at most. It says what
// happened; which and why are attributes. What to do about it is in the pages.
const maxLogMessage = 130

// TestLogMessagesAreShort looks at all log lines of ours.
func TestLogMessagesAreShort(t *testing.T) {
	lines := 0
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
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				level, message := logCall(call)
				if level == "" {
					return true
				}
				lines++
				if len(message) > maxLogMessage {
					t.Errorf("%s: a message of %d bytes, want %d at most: %q", fset.Position(call.Pos()), len(message), maxLogMessage, message)
				}
				return true
			})
		}
	}
	if lines < 80 {
		t.Errorf("only %d log lines found", lines)
	}
}
