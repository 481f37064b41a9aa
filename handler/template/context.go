package template

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template/parse"

	"agentctl/handler/text"
)

// Context is the escaping context of a template's text or placeholder: where in
// a request it stands. The exported ones are those in which a template can begin.
type Context int

const (
	InMethod    Context = iota // an HTTP method, the whole of it
	InPath                     // the path of a URL, beginning with its slash
	inQuery                    // behind the question mark of a URL
	atEnd                      // behind {{path}}, which ends a URL
	InHeader                   // the value of a header, outside quotes
	inQuotes                   // within quotes in the value of a header
	InJSON                     // where a JSON value may begin
	pastJSON                   // where none may: in a literal, behind a value or before a key
	behindValue                // behind a placeholder that is a JSON value
	inString                   // within a text of JSON
)

var contextNames = [...]string{
	"in the method", "in the path", "in the query", "behind {{path}}", "outside quotes", "within quotes",
	"before a JSON value", "past a JSON value", "past a JSON value", "within a JSON text",
}

func (at Context) String() string { return contextNames[at] }

// join returns the context behind two branches that end in different ones. It is
// false if what follows would have to be escaped differently behind each.
func (at Context) join(q Context) (Context, bool) {
	if at == q {
		return at, true
	}
	both := []Context{min(at, q), max(at, q)}
	switch {
	case slices.Equal(both, []Context{InPath, atEnd}):
		return atEnd, true
	case both[0] >= InJSON && both[1] <= behindValue:
		return both[1], true // the context in which less may follow
	}
	return at, false
}

// after returns the context behind a template's own text. The text is nested if
// it stands within an if, with or range.
func (at Context) after(rendered string, nested bool) (Context, error) {
	switch at {
	case InMethod:
		if !text.IsToken(rendered) {
			return at, fmt.Errorf("%q can be no part of an HTTP method", rendered)
		}
		return at, nil
	case InPath, inQuery:
		return at.afterURL(rendered, nested)
	case atEnd:
		return at, errors.New("{{path}} brings its query with it, so nothing can follow it")
	case InHeader, inQuotes:
		if strings.ContainsFunc(rendered, text.NotInHeader) {
			return at, errors.New("it has bytes that a header cannot carry; use printable ASCII")
		}
		return at.afterQuotes(rendered, InHeader, inQuotes)
	}
	return at.afterJSON(rendered)
}

// inURL matches the text that may stand in the path and the query of a URL.
var inURL = text.LazyRegexp(`^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*$`)

func (at Context) afterURL(text string, nested bool) (Context, error) {
	if !inURL().MatchString(text) {
		return at, fmt.Errorf("%q cannot stand in a URL as it is: write it as %%XX", text)
	}
	if at == InPath && strings.Contains(text, "?") {
		if nested {
			return at, errors.New("the question mark before the query must stand outside of if, with and range")
		}
		return inQuery, nil
	}
	return at, nil
}

// afterQuotes follows quoted texts. Within quotes a backslash changes the meaning
// of the next byte, which therefore must be part of the template.
func (at Context) afterQuotes(text string, outside, within Context) (Context, error) {
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && at == within:
			if i++; i == len(text) {
				return at, errors.New("a backslash stands before a placeholder, or at the end")
			}
		case text[i] == '"' && at == within:
			at = outside
		case text[i] == '"':
			at = within
		}
	}
	return at, nil
}

// halfEscape matches the beginning of an escape that a placeholder would
// continue.
var halfEscape = text.LazyRegexp(`\\(u[0-9A-Fa-f]{0,3})?$`)

func (at Context) afterJSON(text string) (Context, error) {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case at == inString:
			if c == '\\' {
				i++
			} else if c == '"' {
				at = pastJSON
			}
		case strings.IndexByte(" \t\r\n", c) >= 0:
		case at == behindValue && strings.IndexByte(",]}", c) < 0:
			return at, fmt.Errorf("%q follows a value that stands outside quotes", text[i:])
		case c == '"':
			at = inString
		case strings.IndexByte(",:[", c) >= 0:
			at = InJSON
		default:
			at = pastJSON
		}
	}
	if at == inString && halfEscape().MatchString(strings.ReplaceAll(text, `\\`, "")) {
		return at, errors.New("a placeholder stands within an escape such as \\n or \\u0000")
	}
	return at, nil
}

// placeholder gives a placeholder the escape of its context, and returns the
// context behind it.
func (at Context) placeholder(n *parse.ActionNode) (Context, error) {
	switch at {
	case InMethod:
		return at, fmt.Errorf("{{%s}}: a method cannot come from an event; choose between methods that are written here, with if", n.Pipe)
	case atEnd:
		return at.after("", false)
	case pastJSON, behindValue:
		return at, fmt.Errorf("{{%s}}: no value can stand here in JSON; put it within quotes, or behind a colon, a comma or a bracket", n.Pipe)
	case InPath:
		if n.Pipe.String() == "path" {
			escapeWith(n, "_path")
			return atEnd, nil
		}
	}
	escapeWith(n, contextEscapes[at])
	if at == InJSON {
		return behindValue, nil
	}
	return at, nil
}

// contextEscapes names the escape of each context, one of escapes.
var contextEscapes = map[Context]string{
	InPath: "_segment", inQuery: "_query", InHeader: "_header", inQuotes: "_quoted", InJSON: "_json", inString: "_string",
}
