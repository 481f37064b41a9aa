package main

import (
	"bytes"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	tables "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"
)

var markdown = goldmark.New(goldmark.WithExtensions(extension.Table)).Parser()

// page lints a page in Markdown. Code blocks, headings and comments are no prose.
func page(file string, source []byte) (found []finding) {
	doc := markdown.Parse(text.NewReader(source))
	found = opening(file, doc)
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		b := block{}
		switch n.(type) {
		case *ast.Heading, *ast.FencedCodeBlock, *ast.CodeBlock, *ast.HTMLBlock:
			return ast.WalkSkipChildren, nil
		case *tables.TableCell:
			b.kind = cell
		case *ast.Paragraph, *ast.TextBlock:
			b.kind = paragraph
		default:
			return ast.WalkContinue, nil
		}
		w := writer{}
		inline(&w, n, source)
		b.words = w.words
		found = append(found, lint(file, b)...)
		return ast.WalkSkipChildren, nil
	})
	return found
}

// inline writes the text of a block's nodes.
func inline(w *writer, n ast.Node, source []byte) {
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		switch c := c.(type) {
		case *ast.Text:
			w.plain(string(c.Value(source)), lineOf(source, c.Pos()))
			if c.SoftLineBreak() || c.HardLineBreak() {
				w.open = false
			}
		case *ast.CodeSpan:
			var code strings.Builder
			line := 0
			for t := c.FirstChild(); t != nil; t = t.NextSibling() {
				if t, ok := t.(*ast.Text); ok {
					if line == 0 {
						line = lineOf(source, t.Pos())
					}
					code.Write(t.Value(source))
				}
			}
			w.code(code.String(), line)
		case *ast.AutoLink:
			w.code(string(c.URL(source)), lineOf(source, max(0, c.Pos())))
		case *ast.RawHTML:
			w.open = w.open && bytes.HasPrefix(c.Segments.Value(source), []byte("<!--"))
		case *ast.Image: // its text is seldom seen
		default:
			inline(w, c, source)
		}
	}
}

func lineOf(source []byte, pos int) int { return 1 + bytes.Count(source[:pos], []byte("\n")) }

// opening checks that a page begins with a heading, and says something before it lists.
func opening(file string, doc ast.Node) []finding {
	heading := false
	for n := doc.FirstChild(); n != nil; n = n.NextSibling() {
		switch n.(type) {
		case *ast.HTMLBlock:
		case *ast.Heading:
			heading = true
		case *ast.Paragraph:
			if heading {
				return nil
			}
			return []finding{{file, 1, "opening", "no heading before the first paragraph"}}
		case *ast.List, *tables.Table:
			return []finding{{file, 1, "opening", "no paragraph before the first list or table"}}
		}
	}
	return []finding{{file, 1, "opening", "there is no paragraph"}}
}
