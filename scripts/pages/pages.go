package pages

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// Page is a Markdown page.
type Page struct {
	Path    string // from the root of the tree, with slashes
	Text    string
	Blocks  []Block
	Links   []Link
	Code    []Code
	Anchors map[string]int // how many headings have an anchor
}

// Block is a fenced block.
type Block struct {
	Line   int    // of its first fence, from 1
	Lang   string // behind that fence
	Text   string // without the indentation of the fence
	NotRun string // why no test runs it; "" if one has to
}

// Link is a link in the text of a page.
type Link struct {
	Line   int
	To     string // as it is written
	Path   string // of the file, from the root of the tree; "" if another host has it
	Anchor string // behind the "#"
}

// Code is a text between backquotes.
type Code struct {
	Line int
	Text string
}

// skipped are the folders in which no page of the project is: git's own, and that
// of built packages.
var skipped = map[string]bool{".git": true, "dist": true}

// All reads every page below a root, in the order of their paths.
func All(root string) (all []Page, err error) {
	err = filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && skipped[d.Name()]:
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(file) != ".md":
			return nil
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		page, err := Parse(filepath.ToSlash(rel), string(text))
		all = append(all, page)
		return err
	})
	return all, err
}

var (
	fence   = regexp.MustCompile("^( *)```(.*)$")
	notRun  = regexp.MustCompile(`^<!-- not run here: (.+) -->$`)
	heading = regexp.MustCompile(`^#+ +(.*)$`)
	code    = regexp.MustCompile("`[^`]*`")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	// notInAnchor is what an anchor leaves out of its heading.
	notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// Parse reads a page with a path from the root of the tree. It fails if a block has
// no end.
func Parse(file, text string) (Page, error) {
	p := Page{Path: file, Text: text, Anchors: map[string]int{}}
	var open *Block
	indent, before := "", ""
	for i, line := range strings.Split(text, "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case m != nil && open == nil:
			indent = m[1]
			open = &Block{Line: i + 1, Lang: m[2]}
			if why := notRun.FindStringSubmatch(before); why != nil {
				open.NotRun = why[1]
			}
		case m != nil:
			open.Text = strings.TrimSuffix(open.Text, "\n")
			p.Blocks = append(p.Blocks, *open)
			open = nil
		case open != nil:
			open.Text += strings.TrimPrefix(line, indent) + "\n"
		default:
			p.readLine(i+1, line)
		}
		before = strings.TrimSpace(line)
	}
	if open != nil {
		return p, fmt.Errorf("%s:%d: the block has no end", file, open.Line)
	}
	return p, nil
}

// readLine reads a line that is in no block.
func (p *Page) readLine(n int, line string) {
	if m := heading.FindStringSubmatch(line); m != nil {
		anchor := notInAnchor.ReplaceAllString(strings.ToLower(m[1]), "")
		p.Anchors[strings.ReplaceAll(anchor, " ", "-")]++
	}
	for _, quoted := range code.FindAllString(line, -1) {
		p.Code = append(p.Code, Code{Line: n, Text: strings.Trim(quoted, "`")})
	}
	for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(line, ""), -1) {
		l := Link{Line: n, To: m[1]}
		if !strings.Contains(l.To, "://") {
			to, anchor, _ := strings.Cut(l.To, "#")
			if l.Path, l.Anchor = p.Path, anchor; to != "" {
				l.Path = path.Join(path.Dir(p.Path), to)
			}
		}
		p.Links = append(p.Links, l)
	}
}
