package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"agentctl/agent/config"
)

// flagMethods are the methods of flag.FlagSet that define a flag, and which
// argument is its name.
var flagMethods = map[string]int{
	"Bool": 0, "Duration": 0, "Func": 0, "Int": 0, "String": 0, "Uint": 0,
	"BoolVar": 1, "DurationVar": 1, "IntVar": 1, "StringVar": 1, "UintVar": 1, "Var": 1,
}

// definedFlags reads the source of a folder: for each function, the flags that
// it defines, and the functions of the folder that it calls. A function that
// makes a flag set has the set's name ("events show") as its key, one of serf's
// its file's (some of its sets share a name), others their own.
func definedFlags(t *testing.T, dir string) (flags, calls map[string][]string) {
	t.Helper()
	flags, calls = map[string][]string{}, map[string][]string{}
	files := token.NewFileSet()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Body != nil {
				key, own, called := flagsOf(t, files, fn)
				if file.Name.Name == "command" && fn.Name.Name == "Run" {
					key = strings.ReplaceAll(strings.TrimSuffix(filepath.Base(path), ".go"), "_", "-")
				}
				flags[key] = append(flags[key], own...)
				calls[key] = append(calls[key], called...)
			}
		}
	}
	return flags, calls
}

func flagsOf(t *testing.T, files *token.FileSet, fn *ast.FuncDecl) (key string, own, called []string) {
	key = fn.Name.Name
	loops := map[string][]string{} // what a loop's variable is in turn
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.RangeStmt:
			if list, ok := n.X.(*ast.CompositeLit); ok && n.Value != nil {
				for _, e := range list.Elts {
					if s, ok := literal(e); ok {
						name := n.Value.(*ast.Ident).Name
						loops[name] = append(loops[name], s)
					}
				}
			}
		case *ast.CallExpr:
			name := ""
			switch f := n.Fun.(type) {
			case *ast.Ident:
				name = f.Name
			case *ast.SelectorExpr:
				name = f.Sel.Name
			}
			at, defines := flagMethods[name]
			_, method := n.Fun.(*ast.SelectorExpr)
			switch {
			case name == "newFlags" || name == "NewFlagSet":
				if s, ok := literal(n.Args[0]); ok {
					key = s
				}
			case method && defines && len(n.Args) > at && onFlagSet(n):
				if s, ok := literal(n.Args[at]); ok {
					own = append(own, s)
				} else if id, ok := n.Args[at].(*ast.Ident); ok && loops[id.Name] != nil {
					own = append(own, loops[id.Name]...)
				} else if fn.Name.Name != "agentOptions" { // whose other flags are the settings
					t.Errorf("%v: the name of a flag that this test cannot read: write it out", files.Position(n.Pos()))
				}
			default:
				called = append(called, name)
			}
		}
		return true
	})
	return key, own, called
}

// onFlagSet tells whether a method is called on what the sources call a flag set.
func onFlagSet(call *ast.CallExpr) bool {
	id, ok := call.Fun.(*ast.SelectorExpr).X.(*ast.Ident)
	return ok && (id.Name == "fs" || id.Name == "cmdFlags" || id.Name == "flags" || id.Name == "f")
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}

// commandFlags are the flags of each command, as the code has them.
func commandFlags(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/hashicorp/serf/cmd/serf/command").Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for _, dir := range []string{strings.TrimSpace(string(out)), "."} { // ours may replace serf's
		flags, calls := definedFlags(t, dir)
		var with func(name string) []string
		with = func(name string) []string {
			own := slices.Clone(flags[name])
			for _, called := range calls[name] {
				if called != name && (strings.HasSuffix(called, "Flags") || strings.HasSuffix(called, "Flag") || strings.HasSuffix(called, "Options")) {
					own = append(own, with(called)...)
				}
			}
			if name == "agentOptions" {
				for _, s := range config.Settings() {
					if s.Flag != "" {
						own = append(own, s.Flag)
					}
				}
			}
			return own
		}
		for name := range flags {
			if own := with(name); len(own) > 0 { // or it is no command's
				all[name] = own
			}
		}
	}
	all["events"] = append(all["events"], append(all["events show"], all["events dismiss"]...)...) // one help text
	return all
}

// What a command's help says of flags is what the command takes: no flag is
// missing, and none is there that does not exist.
func TestHelpNamesEachFlag(t *testing.T) {
	t.Parallel()
	defined := commandFlags(t)
	// The folder's own Run of an agent has its flag set made elsewhere.
	defined["agent"] = defined["agentOptions"]
	defined["check"] = append(defined["check"], defined["agentOptions"]...)
	total := 0
	for _, h := range allHelp() {
		var named []string
		for _, f := range h.flags {
			named = append(named, f.name)
			if f.text == "" && h.name != "info" {
				t.Errorf("%s: the help does not explain -%s", h.name, f.name)
			}
		}
		want := slices.Compact(slices.Sorted(slices.Values(defined[h.name])))
		got := slices.Compact(slices.Sorted(slices.Values(named)))
		if !slices.Equal(got, want) {
			t.Errorf("%s: the help has the flags %v, the command %v", h.name, got, want)
		}
		total += len(got)
		if !strings.Contains(strings.Join(h.body, "\n"), "\nExample") {
			t.Errorf("%s: the help has no examples", h.name)
		}
		if len(h.usage) == 0 {
			t.Errorf("%s: the help does not begin with its usage", h.name)
		}
	}
	if total < 150 { // hardly anything was compared
		t.Errorf("only %d flags were found", total)
	}
}
