package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	files := os.Args[1:]
	if len(files) == 0 {
		var err error
		if files, err = tree("."); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	var found []finding
	for _, file := range files {
		f, err := lintFile(file)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		found = append(found, f...)
	}
	if len(found) > 0 {
		fmt.Print(report(found))
		os.Exit(1)
	}
}

// tree lists the pages and the Go files below a folder.
func tree(root string) (files []string, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch ext := filepath.Ext(path); {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "dist"):
			return fs.SkipDir
		case d.Type().IsRegular() && (ext == ".md" || ext == ".go"):
			files = append(files, path)
		}
		return nil
	})
	return files, err
}

// lintFile lints a page, or the package comment of a Go file.
func lintFile(file string) ([]finding, error) {
	source, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	switch filepath.Ext(file) {
	case ".md":
		return page(file, source), nil
	case ".go":
		return packageComment(file, source)
	}
	return nil, fmt.Errorf("cannot lint %s: it is neither a page (.md) nor a Go file", file)
}

// report lists findings, then how many each rule has and what to do about them.
func report(found []finding) string {
	var out strings.Builder
	counts := map[string]int{}
	for _, f := range found {
		fmt.Fprintln(&out, f)
		counts[f.rule]++
	}
	var rules []string
	for rule := range counts {
		rules = append(rules, rule)
	}
	slices.Sort(rules)
	fmt.Fprintln(&out)
	for _, rule := range rules {
		fmt.Fprintf(&out, "%4d %-9s  %s\n", counts[rule], rule, hints[rule])
	}
	return out.String()
}
