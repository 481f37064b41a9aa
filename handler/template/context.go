package template

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/template/parse"

	"agentctl/handler/text"
)

// Context is where in a request a template's text or placeholder stands.
type Context int

const (
	InMethod Context = iota
	InPath
	inQuery
	atEnd    // behind {{path}}, which ends a URL
	InHeader // outside quotes
	inQuotes // of a header
	InJSON   // where a value may begin
	pastJSON // where none may: in a literal, behind a value or before a key
	behindValue
	inString // of JSON
)

var placeNames = [...]string{
	"in the method", "in the path", "in the query", "behind {{path}}", "outside quotes", "within quotes",
	"before a JSON value", "past a JSON value", "past a JSON value", "within a JSON text",
}

func (p Context) String() string { return placeNames[p] }

// join is where two ways lead that come together again; false where what
// follows would have to be escaped for the one in another way than for the
// other.
func (p Context) join(q Context) (Context, bool) {
	if p == q {
		return p, true
	}
	both := []Context{min(p, q), max(p, q)}
	switch {
	case slices.Equal(both, []Context{InPath, atEnd}):
		return atEnd, true
	case both[0] >= InJSON && both[1] <= behindValue:
		return both[1], true // the one where less may follow
	}
	return p, false
}

// after is the place behind a template's own text. Within an if, with or range
// it is nested.
func (p Context) after(rendered string, nested bool) (Context, error) {
	switch p {
	case InMethod:
		if !text.IsToken(rendered) {
			return p, fmt.Errorf("%q can be no part of an HTTP method", rendered)
		}
		return p, nil
	case InPath, inQuery:
		return p.afterURL(rendered, nested)
	case atEnd:
		return p, errors.New("{{path}} brings its query with it, so nothing can follow it")
	case InHeader, inQuotes:
		if strings.ContainsFunc(rendered, text.NotInHeader) {
			return p, errors.New("it has bytes that a header cannot carry; use printable ASCII")
		}
		return p.afterQuotes(rendered, InHeader, inQuotes)
	}
	return p.afterJSON(rendered)
}

// inURL matches what may stand in the path and the query of a URL.
var inURL = regexp.MustCompile(`^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*$`)

func (p Context) afterURL(text string, nested bool) (Context, error) {
	if !inURL.MatchString(text) {
		return p, fmt.Errorf("%q cannot stand in a URL as it is: write it as %%XX", text)
	}
	if p == InPath && strings.Contains(text, "?") {
		if nested {
			return p, errors.New("the question mark before the query must stand outside of if, with and range")
		}
		return inQuery, nil
	}
	return p, nil
}

// afterQuotes follows quoted texts, in which a backslash takes its meaning from
// what is behind it.
func (p Context) afterQuotes(text string, outside, within Context) (Context, error) {
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && p == within:
			if i++; i == len(text) {
				return p, errors.New("a backslash stands before a placeholder, or at the end")
			}
		case text[i] == '"' && p == within:
			p = outside
		case text[i] == '"':
			p = within
		}
	}
	return p, nil
}

// halfEscape matches the beginning of an escape that a placeholder would go on
// with.
var halfEscape = regexp.MustCompile(`\\(u[0-9A-Fa-f]{0,3})?$`)

func (p Context) afterJSON(text string) (Context, error) {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case p == inString:
			if c == '\\' {
				i++
			} else if c == '"' {
				p = pastJSON
			}
		case strings.IndexByte(" \t\r\n", c) >= 0:
		case p == behindValue && strings.IndexByte(",]}", c) < 0:
			return p, fmt.Errorf("%q follows a value that stands outside quotes", text[i:])
		case c == '"':
			p = inString
		case strings.IndexByte(",:[", c) >= 0:
			p = InJSON
		default:
			p = pastJSON
		}
	}
	if p == inString && halfEscape.MatchString(strings.ReplaceAll(text, `\\`, "")) {
		return p, errors.New("a placeholder stands within an escape such as \\n or \\u0000")
	}
	return p, nil
}

// placeholder gives a placeholder the escape of its place, and returns the
// place behind it.
func (p Context) placeholder(n *parse.ActionNode) (Context, error) {
	switch p {
	case InMethod:
		return p, fmt.Errorf("{{%s}}: a method cannot come from an event; choose between methods that are written here, with if", n.Pipe)
	case atEnd:
		return p.after("", false)
	case pastJSON, behindValue:
		return p, fmt.Errorf("{{%s}}: no value can stand here in JSON; put it within quotes, or behind a colon, a comma or a bracket", n.Pipe)
	case InPath:
		if n.Pipe.String() == "path" {
			escapeWith(n, "_path")
			return atEnd, nil
		}
	}
	escapeWith(n, placeEscapes[p])
	if p == InJSON {
		return behindValue, nil
	}
	return p, nil
}

// placeEscapes has, for each place, one of escapes.
var placeEscapes = map[Context]string{
	InPath: "_segment", inQuery: "_query", InHeader: "_header", inQuotes: "_quoted", InJSON: "_json", inString: "_string",
}
