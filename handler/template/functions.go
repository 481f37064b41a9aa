package template

import (
	"regexp"
	"strings"
	"text/template"

	"agentctl/handler/text"
)

// templateFunctions are the functions that a template can call. The reference of them
// is handler/target/PRESETS.md. Those for a nil *Data are only for the parser.
func templateFunctions(d *Data) template.FuncMap {
	return template.FuncMap{
		"host": d.host, "path": d.path, "payload": d.payload, "event": d.meta,
		"join": join, "pattern": toPattern, "anyof": anyOf,
	}
}

// Types of values that a function has made fit for their context already.
type (
	requestPath string // a path with its query, as it stands in a request's first line
	pattern     string // a regular expression without a blank or a quote in it
	list        string // texts with separators between them
)

// controls are the functions of text/template itself that a template may call.
// None of them makes a text of a value, so none gets around the escapes.
var controls = map[string]any{
	"and": true, "or": true, "not": true, "eq": true, "ne": true, "lt": true, "le": true, "gt": true, "ge": true,
	"len": true, "index": true,
}

// texts returns the elements of a list; a single text is a list of itself.
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

// join puts a separator between the texts of a list. It refuses a text that
// contains the separator, a blank, a comma, a semicolon or a quote, because the
// target would read it as two.
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

// toPattern makes a regular expression fit for a language in which a blank ends
// it, such as Varnish's ban expressions. Blanks, quotes and all bytes that are not
// printable ASCII become \xHH, which means the same there. It refuses an
// expression with an open group or class, as that would swallow the text behind
// it.
func toPattern(v any) (pattern, error) {
	s, err := scalar("regular expression", v)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	groups, class := 0, -1 // how many are open, and where the open class began, or -1
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

// anyOf makes a regular expression that matches each text of a list.
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
