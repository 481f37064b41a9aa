package architecture

import (
	"encoding/json"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// module is our module's path, with which import paths of ours begin.
const module = "agentctl/"

// pkg is a package of ours, as go list describes it for this system.
type pkg struct {
	ImportPath, Dir, Doc string
	GoFiles              []string
	Imports              []string // of its own files
	Deps                 []string // of those, and of what they import in turn
}

// name is the import path within this module.
func (p pkg) name() string { return strings.TrimPrefix(p.ImportPath, module) }

var list = sync.OnceValues(func() (ps []pkg, err error) {
	if err := lookAround(); err != nil {
		return nil, err
	}
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,Doc,GoFiles,Imports,Deps", module+"...").Output()
	if err != nil {
		return nil, err
	}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); err == io.EOF {
			return ps, nil
		} else if err != nil {
			return nil, err
		}
		ps = append(ps, p)
	}
})

// lookAround reads all folders of the module. That lets "go test" know that this test
// looks at them: a result in its cache would otherwise outlive the change of a file.
func lookAround() error {
	return filepath.WalkDir("../..", func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == ".git" {
			return fs.SkipDir
		}
		return err
	})
}

// packages lists our packages, without those that have nothing but tests.
func packages(t *testing.T) (ps []pkg) {
	t.Helper()
	all, err := list()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for _, p := range all {
		if len(p.GoFiles) > 0 {
			ps = append(ps, p)
		}
	}
	return ps
}

// below tells whether a path is root or, as in a folder, below it.
func below(path, root string) bool {
	root = strings.TrimSuffix(root, "/")
	return path == root || strings.HasPrefix(path, root+"/")
}
