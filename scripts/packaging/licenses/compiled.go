package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A part is a module, or Go.
type part struct {
	name, version string
	ids           []string          // of its licences, by SPDX
	files         map[string]string // the texts by the files' paths in the part
}

// A module and a pack are what go list tells of them.
type module struct {
	Path, Version, Dir string
	Main               bool
	Replace            *struct{} // not nil: a folder of this repository stands in for it
}

type pack struct {
	Dir    string
	Module *module // nil: it is Go's own
}

// processors are those that a release is for, all with Linux.
var processors = []string{"amd64", "arm64"}

// compiled returns Go and the modules that are compiled into a program, the program's
// own first. Each has its licences, and notices and grants that come with them.
func compiled(program string) ([]part, error) {
	folders := map[module][]string{}
	for _, processor := range processors {
		packs, err := list(program, processor)
		if err != nil {
			return nil, err
		}
		for _, p := range packs {
			if p.Module != nil && p.Module.Replace == nil {
				folders[*p.Module] = append(folders[*p.Module], p.Dir)
			}
		}
	}
	golang, err := goModule()
	if err != nil {
		return nil, err
	}
	folders[golang] = []string{golang.Dir}

	var parts []part
	var failed []error
	for _, m := range slices.SortedFunc(maps.Keys(folders), func(a, b module) int {
		if a.Main != b.Main {
			return map[bool]int{true: -1, false: 1}[a.Main]
		}
		return strings.Compare(a.Path, b.Path)
	}) {
		p, err := read(m, folders[m])
		failed = append(failed, err)
		parts = append(parts, p)
	}
	return parts, errors.Join(failed...)
}

// list returns the packages of a program for a processor.
func list(program, processor string) (packs []pack, err error) {
	cmd := exec.Command("go", "list", "-deps", "-json=Dir,Module", program)
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+processor, "CGO_ENABLED=0")
	out, err := output(cmd)
	if err != nil {
		return nil, err
	}
	for d := json.NewDecoder(strings.NewReader(out)); ; {
		var p pack
		switch err := d.Decode(&p); err {
		case nil:
			packs = append(packs, p)
		case io.EOF:
			return packs, nil
		default:
			return nil, err
		}
	}
}

// goModule returns Go as if it were a module.
func goModule() (module, error) {
	out, err := output(exec.Command("go", "env", "GOROOT", "GOVERSION"))
	if err != nil {
		return module{}, err
	}
	root, version, _ := strings.Cut(strings.TrimSpace(out), "\n")
	return module{Path: "Go's runtime and standard library", Version: version, Dir: root}, nil
}

func output(cmd *exec.Cmd) (string, error) {
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	return string(out), nil
}

var (
	licence = regexp.MustCompile(`(?i)^(licen[cs]e|copying)`)
	beside  = regexp.MustCompile(`(?i)^(notice|patents)`) // to be passed on with it
)

// read reads the licences of a module of which packages in some folders are used. A
// folder in a module may have a licence of its own, from code that was copied there.
func read(m module, folders []string) (part, error) {
	p := part{name: m.Path, version: m.Version, files: map[string]string{}}
	var failed []error
	for dir := range within(m.Dir, folders) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return p, err
		}
		for _, entry := range entries {
			isLicence := licence.MatchString(entry.Name())
			if entry.IsDir() || filepath.Ext(entry.Name()) == ".go" || !isLicence && !beside.MatchString(entry.Name()) {
				continue
			}
			file := filepath.Join(dir, entry.Name())
			text, err := os.ReadFile(file)
			if err != nil {
				return p, err
			}
			if isLicence {
				ids, err := identify(string(text))
				if err != nil {
					failed = append(failed, fmt.Errorf("%s: %w", file, err))
				}
				p.ids = append(p.ids, ids...)
			}
			name, err := filepath.Rel(m.Dir, file)
			if err != nil {
				return p, err
			}
			p.files[name] = string(text)
		}
	}
	slices.Sort(p.ids)
	p.ids = slices.Compact(p.ids)
	if len(p.ids) == 0 && len(failed) == 0 {
		failed = append(failed, fmt.Errorf("%s %s has no licence in %s", m.Path, m.Version, m.Dir))
	}
	return p, errors.Join(failed...)
}

// within returns folders and those above them, up to root.
func within(root string, folders []string) map[string]bool {
	all := map[string]bool{root: true}
	for _, dir := range folders {
		for ; !all[dir] && strings.HasPrefix(dir, root); dir = filepath.Dir(dir) {
			all[dir] = true
		}
	}
	return all
}
