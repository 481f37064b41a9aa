package architecture

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// realTime are the test files, beside the code, that need real time: they start
// processes, or wait outside a bubble of testing/synctest. Each says why. What can
// run in a bubble over the network in memory has no place here, and tests of the
// whole program belong to scripts/systest.
var realTime = map[string]string{
	"agent/health_real_test.go":              "a lock that is held stops a bubble's clock",
	"agent/intake/copies_test.go":            "a lock that is held stops a bubble's clock",
	"agent/listen_real_test.go":              "ports and sockets of this machine are what it tests",
	"agent/rpc/query_test.go":                "a query of a real serf node, with its sockets",
	"agent/rpc/server_test.go":               "a unix socket, whose file is what it tests",
	"agent/rpc/stress_test.go":               "clients reset and half-close real connections",
	"agent/script/script_test.go":            "scripts are processes",
	"agent/stop_real_test.go":                "a script that hangs is a process",
	"cmd/agentctl/checkjournal_test.go":      "the command runs as a process that writes a journal",
	"cmd/agentctl/completion_test.go":        "shells are processes",
	"cmd/agentctl/helptext_test.go":          "each command runs as a process, to print its help",
	"cmd/agentctl/hostileops_test.go":        "each command runs as a process, whose whole output is what it tests",
	"cmd/agentctl/main_test.go":              "it puts the program on the PATH of the scripts",
	"cmd/agentctl/quick/quick_linux_test.go": "system calls on a real socket are what it tests",
	"cmd/agentctl/script_test.go":            "scripts of commands run processes; slow ones are system tests",
	"handler/journal/disk/kill_test.go":      "a process is killed while it writes, and a disk is full",
	"rpcclient/client_test.go":               "a port that nobody has, and a unix socket",
	"rpcclient/publisher_test.go":            "a port that nobody has yet",
	"scripts/example/main_test.go":           "the example is a program for real ports",
}

// realPackages are what tests start processes with.
var realPackages = []string{
	"os/exec", "agentctl/scripts/testkit/loopback", "agentctl/scripts/testkit/stock",
	"agentctl/scripts/testkit/proc", "agentctl/scripts/testkit/script", "agentctl/scripts/testkit/stub",
}

// waits are calls that take real time outside a bubble.
var waits = []string{
	"time.Sleep", "time.After", "testkit.WaitFor", "testkit.Poll", "testkit.PollFor", "testkit.PollAt", "testkit.Settle",
}

func TestTestsBesideTheCodeNeedNoRealTime(t *testing.T) {
	found := map[string]bool{}
	for _, p := range packages(t) {
		if below(p.name(), "scripts") && p.name() != "scripts/example" {
			continue
		}
		tests := testFiles(t, p)
		bubbles := []string{"synctest.Test"} // and what calls it
		for _, f := range tests {
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil && calls(fn.Body, bubbles[:1]) {
					bubbles = append(bubbles, fn.Name.Name)
				}
			}
		}
		for file, f := range tests {
			name := p.name() + "/" + file
			uses := usesOfRealTime(f, bubbles)
			if len(uses) == 0 {
				continue
			}
			found[name] = true
			if realTime[name] == "" {
				t.Errorf("%s needs real time, by %s: have it run in a bubble of testing/synctest, move it to scripts/systest, or say why it can do neither", name, strings.Join(uses, ", "))
			}
		}
	}
	for name := range realTime {
		if !found[name] {
			t.Errorf("%s needs no real time, or is not there any more: its line is in vain", name)
		}
	}
}

// testFiles are the test files of a package, by name.
func testFiles(t *testing.T, p pkg) map[string]*ast.File {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(p.Dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]*ast.File{}
	for _, path := range paths {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(path)] = f
	}
	return files
}

// usesOfRealTime lists what a test file uses that takes real time.
func usesOfRealTime(f *ast.File, bubbles []string) (uses []string) {
	add := func(use string) {
		if !slices.Contains(uses, use) {
			uses = append(uses, use)
		}
	}
	for _, im := range f.Imports {
		if p, _ := strconv.Unquote(im.Path.Value); slices.Contains(realPackages, p) {
			add(p)
		}
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil || !strings.HasPrefix(fn.Name.Name, "Test") || calls(fn.Body, bubbles) {
			continue
		}
		ast.Inspect(fn.Body, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && slices.Contains(waits, callee(call)) {
				add(callee(call) + " in " + fn.Name.Name)
			}
			return true
		})
	}
	return uses
}

// calls reports whether a function is called by one of the names.
func calls(body ast.Node, names []string) (found bool) {
	ast.Inspect(body, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			name := callee(call)
			found = found || slices.Contains(names, name) || slices.Contains(names, name[strings.LastIndexByte(name, '.')+1:])
		}
		return !found
	})
	return found
}

// callee is the name of what is called, as time.Sleep or bubble.
func callee(call *ast.CallExpr) string {
	switch fun := call.Fun.(type) {
	case *ast.Ident:
		return fun.Name
	case *ast.SelectorExpr:
		if x, ok := fun.X.(*ast.Ident); ok {
			return x.Name + "." + fun.Sel.Name
		}
	}
	return ""
}
