package template

import (
	"regexp"
	"strings"
	"text/template"

	"agentctl/handler/text"
)

// templateFunctions are what a template can call; README.md tells what they
// do. With nil they are for the parser.
func templateFunctions(d *Data) template.FuncMap {
	return template.FuncMap{
		"host": d.host, "path": d.path, "payload": d.payload, "event": d.meta,
		"join": join, "pattern": toPattern, "anyof": anyOf,
	}
}

// Types of values that have been made fit for their places already.
type (
	requestPath string // a path with its query, as it stands in a request's first line
	pattern     string // a regular expression without a blank or a quote in it
	list        string // texts with separators between them
)

// controls are the functions of text/template itself that a template may call:
// those that make no text of a value.
var controls = map[string]any{
	"and": true, "or": true, "not": true, "eq": true, "ne": true, "lt": true, "le": true, "gt": true, "ge": true,
	"len": true, "index": true,
}

// texts are the elements of a list of an event; one text is a list of it.
func texts(v any) ([]string, error) {
	all, ok := v.([]any)
	if !ok {
		all = []any{v}
	}
	if len(all) == 0 {
		return nil, Misfitf("a list of it is empty")
	}
	out := make([]string, len(all))
	for i, e := range all {
		s, err := scalar("such list", e)
		if err != nil {
			return nil, err
		}
		if s == "" {
			return nil, Misfitf("a list of it has an empty text")
		}
		out[i] = s
	}
	return out, nil
}

// join puts a separator between the texts of a list. A text that has the
// separator in it, or a blank, comma, semicolon or quote, would become two.
func join(separator string, v any) (list, error) {
	all, err := texts(v)
	if err != nil {
		return "", err
	}
	for _, s := range all {
		if strings.ContainsAny(s, " ,;\""+separator) || strings.ContainsFunc(s, isControl) {
			return "", Misfitf("%q cannot stand in a list: it has a blank, a separator, a quote or a control character", text.Excerpt(s, 60))
		}
	}
	return list(strings.Join(all, separator)), nil
}

// toPattern makes a regular expression fit for where a blank ends it, as in
// Varnish's ban expressions: blanks, quotes and what is not printable ASCII
// become \xHH, which means the same there. One whose groups or classes are not
// closed would go on in what follows.
func toPattern(v any) (pattern, error) {
	s, err := scalar("regular expression", v)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	groups, class := 0, -1 // class: where the one that is open began, or -1
	for i := 0; i < len(s); i++ {
		escaped := s[i] == '\\'
		if escaped {
			i++
		}
		if i == len(s) {
			return "", Misfitf("regular expression %q ends in a backslash", text.Excerpt(s, 60))
		}
		switch c := s[i]; {
		case c <= ' ' || c >= 0x7f || c == '"':
			b.WriteString(`\x`)
			b.Write([]byte{hexDigits[c>>4], hexDigits[c&0xf]})
			continue
		case escaped && (c == 'Q' || c == 'E'):
			return "", Misfitf(`regular expression %q has \%c, within which nothing can be escaped`, text.Excerpt(s, 60), c)
		case escaped:
			b.WriteByte('\\')
		case class >= 0:
			if c == ']' && i > class+1 && s[class+1:i] != "^" {
				class = -1
			}
		case c == '[':
			class = i
		case c == '(':
			groups++
		case c == ')':
			groups--
		}
		if groups < 0 {
			break
		}
		b.WriteByte(s[i])
	}
	if s == "" || groups != 0 || class >= 0 {
		return "", Misfitf("%q is no regular expression, as it is empty, or a group or class is not closed", text.Excerpt(s, 60))
	}
	return pattern(b.String()), nil
}

// anyOf makes a regular expression that matches any of the texts of a list.
func anyOf(v any) (pattern, error) {
	all, err := texts(v)
	if err != nil {
		return "", err
	}
	for i, s := range all {
		all[i] = regexp.QuoteMeta(s)
	}
	return toPattern(strings.Join(all, "|"))
}
