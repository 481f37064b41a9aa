package main

import (
	"go/doc/comment"
	"go/parser"
	"go/token"
	"strings"
)

// packageComment lints the package comment of a Go file, if there is one.
func packageComment(file string, source []byte) (found []finding, err error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, source, parser.PackageClauseOnly|parser.ParseComments)
	if err != nil || f.Doc == nil {
		return nil, err
	}
	begin := fset.Position(f.Doc.Pos())
	at := place{
		rest: string(source[begin.Offset:fset.Position(f.Doc.End()).Offset]),
		line: begin.Line,
	}
	parser := comment.Parser{
		// A name in brackets is code, whatever it is.
		LookupPackage: func(name string) (string, bool) { return name, true },
		LookupSym:     func(string, string) bool { return true },
	}
	var walk func(comment.Block)
	walk = func(b comment.Block) {
		switch b := b.(type) {
		case *comment.Code:
			for _, w := range strings.Fields(b.Text) {
				at.find(w)
			}
		case *comment.Heading:
			at.words(b.Text)
		case *comment.List:
			for _, item := range b.Items {
				for _, p := range item.Content {
					walk(p)
				}
			}
		case *comment.Paragraph:
			found = append(found, lint(file, block{words: at.words(b.Text)})...)
		}
	}
	for _, b := range parser.Parse(f.Doc.Text()).Content {
		walk(b)
	}
	return found, nil
}

// place is how far a comment has been read. Package comment parses one, and does not
// tell where in the file a paragraph stands.
type place struct {
	rest string
	line int
}

// find gives the line of the next occurrence of a text.
func (p *place) find(text string) int {
	if before, after, ok := strings.Cut(p.rest, text); ok {
		p.line += strings.Count(before, "\n")
		p.rest = after
	}
	return p.line
}

// words gives the words of a text, with their lines.
func (p *place) words(texts []comment.Text) []word {
	w := writer{}
	var write func([]comment.Text)
	write = func(texts []comment.Text) {
		for _, t := range texts {
			switch t := t.(type) {
			case comment.Plain:
				w.plain(string(t), 0)
			case comment.Italic:
				w.plain(string(t), 0)
			case *comment.Link:
				if t.Auto {
					w.code(t.URL, 0)
				} else {
					write(t.Text)
				}
			case *comment.DocLink:
				for _, name := range t.Text {
					if s, ok := name.(comment.Plain); ok {
						w.code(string(s), 0)
					}
				}
			}
		}
	}
	write(texts)
	for i := range w.words {
		w.words[i].line = p.find(w.words[i].text)
	}
	return w.words
}
