package handler

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/template/parse"
)

// place is where in a request a template's text or placeholder stands.
type place int

const (
	inMethod place = iota
	inPath
	inQuery
	atEnd    // behind {{path}}, which ends a URL
	inHeader // outside quotes
	inQuotes // of a header
	inJSON   // where a value may begin
	pastJSON // where none may: in a literal, behind a value or before a key
	behindValue
	inString // of JSON
)

var placeNames = [...]string{
	"in the method", "in the path", "in the query", "behind {{path}}", "outside quotes", "within quotes",
	"before a JSON value", "past a JSON value", "past a JSON value", "within a JSON text",
}

func (p place) String() string { return placeNames[p] }

// join is where two ways lead that come together again; false where what
// follows would have to be escaped for the one in another way than for the
// other.
func (p place) join(q place) (place, bool) {
	if p == q {
		return p, true
	}
	both := []place{min(p, q), max(p, q)}
	switch {
	case slices.Equal(both, []place{inPath, atEnd}):
		return atEnd, true
	case both[0] >= inJSON && both[1] <= behindValue:
		return both[1], true // the one where less may follow
	}
	return p, false
}

// after is the place behind a template's own text. Within an if, with or range
// it is nested.
func (p place) after(text string, nested bool) (place, error) {
	switch p {
	case inMethod:
		if !isToken(text) {
			return p, fmt.Errorf("%q can be no part of an HTTP method", text)
		}
		return p, nil
	case inPath, inQuery:
		return p.afterURL(text, nested)
	case atEnd:
		return p, errors.New("{{path}} brings its query with it, so nothing can follow it")
	case inHeader, inQuotes:
		if strings.ContainsFunc(text, notInHeader) {
			return p, errors.New("it has bytes that a header cannot carry; use printable ASCII")
		}
		return p.afterQuotes(text, inHeader, inQuotes)
	}
	return p.afterJSON(text)
}

// inURL matches what may stand in the path and the query of a URL.
var inURL = regexp.MustCompile(`^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*$`)

func (p place) afterURL(text string, nested bool) (place, error) {
	if !inURL.MatchString(text) {
		return p, fmt.Errorf("%q cannot stand in a URL as it is: write it as %%XX", text)
	}
	if p == inPath && strings.Contains(text, "?") {
		if nested {
			return p, errors.New("the question mark before the query must stand outside of if, with and range")
		}
		return inQuery, nil
	}
	return p, nil
}

// afterQuotes follows quoted texts, in which a backslash takes its meaning from
// what is behind it.
func (p place) afterQuotes(text string, outside, within place) (place, error) {
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

func (p place) afterJSON(text string) (place, error) {
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
			p = inJSON
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
func (p place) placeholder(n *parse.ActionNode) (place, error) {
	switch p {
	case inMethod:
		return p, fmt.Errorf("{{%s}}: a method cannot come from an event; choose between methods that are written here, with if", n.Pipe)
	case atEnd:
		return p.after("", false)
	case pastJSON, behindValue:
		return p, fmt.Errorf("{{%s}}: no value can stand here in JSON; put it within quotes, or behind a colon, a comma or a bracket", n.Pipe)
	case inPath:
		if n.Pipe.String() == "path" {
			escapeWith(n, "_path")
			return atEnd, nil
		}
	}
	escapeWith(n, placeEscapes[p])
	if p == inJSON {
		return behindValue, nil
	}
	return p, nil
}

// placeEscapes has, for each place, one of escapes.
var placeEscapes = map[place]string{
	inPath: "_segment", inQuery: "_query", inHeader: "_header", inQuotes: "_quoted", inJSON: "_json", inString: "_string",
}
