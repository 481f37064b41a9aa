package architecture

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"testing"
)

func TestPackagesSayWhatTheyAreFor(t *testing.T) {
	for _, p := range packages(t) {
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.name())
		}
	}
}

// fieldLimits says how many fields a type may have at most. These types know all
// others of their packages, and grow unless somebody looks.
var fieldLimits = map[string]int{
	"agent.Agent":            22, // to be 15
	"handler/journal.Cursor": 15,
}

// maxMethods is how many methods an interface may have: its consumer declares
// what it calls, and a test's stand-in has no more to do.
const maxMethods = 5

// wideInterfaces have more methods, and say why.
var wideInterfaces = map[string]int{
	"agent/repair.Store": 6, // the questions that repair asks of a journal, each of another kind
}

func TestCentralTypesStaySmall(t *testing.T) {
	seen := map[string]bool{}
	for name, spec := range types(t) {
		switch typ := spec.(type) {
		case *ast.StructType:
			limit, limited := fieldLimits[name]
			seen[name] = true
			if n := typ.Fields.NumFields(); limited && n > limit {
				t.Errorf("%s has %d fields, more than %d: which of them belong to a type of their own?", name, n, limit)
			}
		case *ast.InterfaceType:
			limit, wide := wideInterfaces[name]
			seen[name] = true
			if !wide {
				limit = maxMethods
			}
			if n := typ.Methods.NumFields(); n > limit {
				t.Errorf("%s has %d methods, more than %d: which of its consumers needs them all?", name, n, limit)
			}
		}
	}
	for _, limits := range []map[string]int{fieldLimits, wideInterfaces} {
		for name := range limits {
			if !seen[name] {
				t.Errorf("there is no type %s: its limit checks nothing", name)
			}
		}
	}
}

// types gives the types that the packages declare, tests left out, by names as
// agent.Agent.
func types(t *testing.T) map[string]ast.Expr {
	t.Helper()
	all := map[string]ast.Expr{}
	for _, p := range packages(t) {
		for _, file := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if spec, ok := n.(*ast.TypeSpec); ok {
					all[p.name()+"."+spec.Name.Name] = spec.Type
				}
				return true
			})
		}
	}
	return all
}
