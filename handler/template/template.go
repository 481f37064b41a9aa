package template

import (
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"

	"agentctl/handler/text"
)

// Limits of a rendered text, in bytes. Servers commonly refuse longer URLs and
// headers. A text beyond the limit is never cut, as that would be another request.
const (
	maxRenderedLine = 8 << 10 // of a URL, a method or a header's value
	maxRenderedBody = 8 << 20
)

// A Template is a part of a request, with placeholders for values of an event. It
// is safe for concurrent use.
type Template struct {
	fixed string             // the text itself, if it has no placeholder
	parts *template.Template // nil if it has none
	limit int                // of the rendered text, in bytes
}

// HasPlaceholder tells whether a text is a template.
func HasPlaceholder(text string) bool { return strings.Contains(text, "{{") }

// Compile makes a template of a text that begins in a context, one of the exported
// ones. It puts an escape at the end of each placeholder's pipeline. Printf and
// other functions that glue values to texts cannot be called, because the result
// would need an escape for each part. The error is one line for an operator.
func Compile(text string, begin Context) (*Template, error) {
	t := &Template{fixed: text, limit: maxRenderedLine}
	if begin == InJSON {
		t.limit = maxRenderedBody
	}
	if !HasPlaceholder(text) {
		return t, nil
	}
	const name = "template"
	tree := parse.New(name)
	known := map[string]any{}
	maps.Copy(known, controls)
	maps.Copy(known, templateFunctions(nil))
	trees := map[string]*parse.Tree{}
	if _, err := tree.Parse(text, "{{", "}}", trees, known); err != nil {
		problem := trimPosition().ReplaceAllString(err.Error(), "")
		if strings.HasPrefix(problem, "function ") {
			problem += "; there are " + strings.Join(slices.Sorted(maps.Keys(known)), ", ")
		}
		return nil, errors.New(problem)
	}
	if len(trees) > 1 {
		return nil, errors.New("define and block cannot be used here")
	}
	w := walker{}
	end, err := w.list(tree.Root, begin)
	if err != nil {
		return nil, err
	}
	if end == inQuotes || end == inString {
		return nil, errors.New("a quote is opened and not closed")
	}
	t.parts, err = template.New(name).Option("missingkey=zero").
		Funcs(escapes).Funcs(templateFunctions(nil)).AddParseTree(name, tree)
	return t, err
}

// trimPosition matches the template's name and position, with which text/template
// begins its errors.
var trimPosition = text.LazyRegexp(`^template: template:(\d+:)*\s*(executing "template" )?`)

// Fixed returns the text of a template without placeholders, which is the same
// for all events, and whether it is one.
func (t *Template) Fixed() (text string, ok bool) { return t.fixed, t.parts == nil }

// Render makes the text for an event. The error is a *Misfit.
func (t *Template) Render(d *Data) (string, error) {
	if text, ok := t.Fixed(); ok {
		return text, nil
	}
	parts, err := t.parts.Clone()
	if err != nil { // only after an execution, and t.parts is never executed
		return "", Misfitf("%v", err)
	}
	out := limitedText{limit: t.limit}
	err = parts.Funcs(templateFunctions(d)).Execute(&out, d.Fields)
	if err == nil {
		return out.String(), nil
	}
	if m, ok := errors.AsType[*Misfit](err); ok {
		return "", m
	}
	if errors.Is(err, errTooLong) {
		return "", Misfitf("it makes a text of more than %d bytes", t.limit)
	}
	return "", Misfitf("%s", text.Excerpt(trimPosition().ReplaceAllString(err.Error(), ""), text.ExcerptSize))
}

var errTooLong = errors.New("too long")

// limitedText is a text that refuses to grow beyond its limit.
type limitedText struct {
	strings.Builder
	limit int
}

func (l *limitedText) Write(p []byte) (int, error) {
	if l.Len()+len(p) > l.limit {
		return 0, errTooLong
	}
	return l.Builder.Write(p)
}

var _ io.Writer = (*limitedText)(nil)
