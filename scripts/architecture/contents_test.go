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

func TestCentralTypesStaySmall(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range packages(t) {
		for _, file := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				spec, ok := n.(*ast.TypeSpec)
				if !ok {
					return true
				}
				name := p.name() + "." + spec.Name.Name
				limit, limited := fieldLimits[name]
				if s, ok := spec.Type.(*ast.StructType); ok && limited {
					seen[name] = true
					if n := s.Fields.NumFields(); n > limit {
						t.Errorf("%s has %d fields, more than %d: which of them belong to a type of their own?", name, n, limit)
					}
				}
				return true
			})
		}
	}
	for name := range fieldLimits {
		if !seen[name] {
			t.Errorf("there is no type %s: its limit checks nothing", name)
		}
	}
}
