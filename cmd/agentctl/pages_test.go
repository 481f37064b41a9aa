package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"agentctl/scripts/pages"
)

// root is the folder of the module, in which the pages are.
const root = "../.."

// allPages are the Markdown pages of the project.
func allPages(t *testing.T) []pages.Page {
	t.Helper()
	all, err := pages.All(root)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// pageAt is the page of a path.
func pageAt(t *testing.T, path string) pages.Page {
	t.Helper()
	all := allPages(t)
	i := slices.IndexFunc(all, func(p pages.Page) bool { return p.Path == path })
	if i < 0 {
		t.Fatalf("there is no page %s", path)
	}
	return all[i]
}

// Links lead somewhere: to a file or a folder, and to a heading of its page if they
// have an anchor. So do the paths that are named in `code`.
func TestPageLinks(t *testing.T) {
	t.Parallel()
	all := allPages(t)
	anchors := map[string]map[string]int{}
	for _, p := range all {
		anchors[p.Path] = p.Anchors
	}
	exists := func(path string) bool {
		_, err := os.Stat(filepath.Join(root, filepath.FromSlash(path)))
		return err == nil
	}
	links := 0
	for _, p := range all {
		for _, l := range p.Links {
			links++
			switch {
			case l.Path == "" && !strings.HasPrefix(l.To, "https://"):
				t.Errorf("%s:%d: the link to %s does not begin with https://", p.Path, l.Line, l.To)
			case l.Path == "":
			case !exists(l.Path):
				t.Errorf("%s:%d: there is no file %s, to which %s leads", p.Path, l.Line, l.Path, l.To)
			case l.Anchor != "" && anchors[l.Path][l.Anchor] != 1:
				t.Errorf("%s:%d: %s has %d headings of the anchor #%s", p.Path, l.Line, l.Path, anchors[l.Path][l.Anchor], l.Anchor)
			}
		}
		for _, c := range p.Code {
			for _, folder := range []string{"agent/", "handler/", "rpcclient/", "cmd/", "scripts/", "testdata/"} {
				if strings.HasPrefix(c.Text, folder) && !strings.ContainsAny(c.Text, " *=") && !exists(c.Text) {
					t.Errorf("%s:%d: there is no %s", p.Path, c.Line, c.Text)
				}
			}
		}
	}
	if links == 0 {
		t.Error("no link was found")
	}
}

// README.md is what a newcomer reads in ten minutes: everything else has its own
// page. The commands that show the program at work come first.
func TestReadmeIsShort(t *testing.T) {
	t.Parallel()
	const maxLines, maxBytes, first = 300, 16 << 10, 60
	p := pageAt(t, "README.md")
	if n := strings.Count(p.Text, "\n"); n > maxLines {
		t.Errorf("README.md has %d lines, more than %d: move a part to the page of its subject", n, maxLines)
	}
	if n := len(p.Text); n > maxBytes {
		t.Errorf("README.md has %d bytes, more than %d: move a part to the page of its subject", n, maxBytes)
	}
	for _, command := range []string{"go run ./cmd/agentctl dev", "go run ./cmd/agentctl event ", "scripts/check.sh"} {
		if !slices.ContainsFunc(p.Blocks, func(b pages.Block) bool {
			return strings.HasPrefix(b.Text, command) && b.Line+1+strings.Count(b.Text, "\n") <= first
		}) {
			t.Errorf("no block in the first %d lines of README.md begins with %q", first, command)
		}
	}
}
