package target

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"agentctl/handler"
	"agentctl/handler/template"
	"agentctl/handler/text"
)

// requestForm is a target's request, compiled: the fixed parts, and the templates
// of the others.
type requestForm struct {
	method *template.Template
	url    *url.URL
	path   *template.Template              // of path and query; nil: those of url
	host   *template.Template              // of the Host header
	header http.Header                     // those without placeholders
	parts  map[string][]*template.Template // of the other headers, by name
	body   *template.Template              // nil: the event's own body, or with bare none
	bare   bool
	plain  bool   // only the body depends on the event
	lines  []byte // with plain, see filledForm
}

// filledForm is the request for one event.
type filledForm struct {
	method string
	url    *url.URL
	host   string
	header http.Header
	lines  []byte // request line and header, without those that a Poster sets itself
	body   []byte
}

// newRequestForm compiles a target's request. The error is of one part that is
// wrong; validateRequest names them all.
func newRequestForm(t *Target) (*requestForm, error) {
	ep, err := parseURL(t.URL)
	if err != nil {
		return nil, err
	}
	f := &requestForm{
		url: ep.url, path: ep.path, plain: ep.path == nil,
		header: http.Header{"Content-Type": {"application/json"}, "User-Agent": {t.UserAgent}},
		parts:  map[string][]*template.Template{},
		bare:   t.Body == "" && (t.noBody || !takesBody(t.Method)),
	}
	compilePart := func(text string, begin template.Context) *template.Template {
		part, perr := template.Compile(text, begin)
		if perr != nil {
			err = perr
		} else {
			_, fixed := part.Fixed()
			f.plain = f.plain && fixed
		}
		return part
	}
	if u := ep.url.User; u != nil {
		password, _ := u.Password()
		(&http.Request{Header: f.header}).SetBasicAuth(u.Username(), password)
	}
	f.method = compilePart(t.Method, template.InMethod)
	f.host = compilePart(ep.host(), template.InHeader)
	for name, values := range t.Header {
		name = http.CanonicalHeaderKey(name)
		if name == "Host" && len(values) > 0 {
			f.host = compilePart(values[0], template.InHeader)
			continue
		}
		if !slices.ContainsFunc(values, template.HasPlaceholder) {
			f.header[name] = values
			continue
		}
		for _, v := range values {
			f.parts[name] = append(f.parts[name], compilePart(v, template.InHeader))
		}
	}
	if t.Body != "" {
		f.body = compilePart(t.Body, template.InJSON)
	}
	if f.plain && err == nil {
		fixed := f.fixed()
		fixed.writeLines()
		f.lines = fixed.lines
	}
	return f, err
}

// fixed are the parts that do not depend on the event.
func (f *requestForm) fixed() filledForm {
	out := filledForm{url: f.url, header: f.header, lines: f.lines}
	out.method, _ = f.method.Fixed()
	out.host, _ = f.host.Fixed()
	return out
}

// writeLines makes the lines of the other parts. The values are valid: those of a target
// were checked with it, and templates make no others.
func (out *filledForm) writeLines() {
	b := append(append(append(out.lines[:0:0], out.method...), ' '), out.url.RequestURI()...)
	b = appendField(append(b, " HTTP/1.1\r\n"...), "Host", out.host)
	for _, name := range slices.Sorted(maps.Keys(out.header)) {
		for _, value := range out.header[name] {
			b = appendField(b, name, value)
		}
	}
	out.lines = b
}

// takesBody tells whether a request of this method has the event's body by default.
// HTTP gives the body of other requests no meaning.
func takesBody(method string) bool {
	return slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch}, method)
}

// fill makes the request for an event. The error is a *template.Misfit.
func (f *requestForm) fill(e *handler.Event) (filledForm, error) {
	out := f.fixed()
	if f.plain {
		switch {
		case f.body != nil:
			body, _ := f.body.Fixed()
			out.body = []byte(body)
		case !f.bare:
			out.body = e.Body()
		}
		return out, nil
	}
	out.header = make(http.Header, len(f.header)+len(f.parts))
	maps.Copy(out.header, f.header)
	d := template.NewData(e)
	err := f.fillParts(d, &out)
	if err != nil && d.Fields == nil {
		err = fmt.Errorf("%w (its payload is no JSON object)", err)
	}
	if err == nil {
		out.writeLines()
	}
	return out, err
}

func (f *requestForm) fillParts(d *template.Data, out *filledForm) error {
	var err error
	if out.method, err = f.method.Render(d); err != nil {
		return fmt.Errorf("method: %w", err)
	}
	if !text.IsToken(out.method) {
		return template.Misfitf("method: it makes %q of it", text.Excerpt(out.method, 40))
	}
	if out.host, err = f.host.Render(d); err != nil {
		return fmt.Errorf("header Host: %w", err)
	}
	if _, fixed := f.host.Fixed(); !fixed && !template.ValidHost(out.host) {
		return template.Misfitf("header Host: it makes %q of it", text.Excerpt(out.host, 60))
	}
	for name, parts := range f.parts {
		values := make([]string, len(parts))
		for i, part := range parts {
			if values[i], err = part.Render(d); err != nil {
				return fmt.Errorf("header %s: %w", name, err)
			}
		}
		out.header[name] = values
	}
	if f.path != nil {
		if out.url, err = f.fillURL(d); err != nil {
			return fmt.Errorf("url: %w", err)
		}
	}
	switch {
	case f.body == nil && !f.bare:
		out.body = d.Body
	case f.body != nil:
		body, err := f.body.Render(d)
		if err != nil {
			return fmt.Errorf("body: %w", err)
		}
		out.body = []byte(body)
		if _, fixed := f.body.Fixed(); !fixed && !json.Valid(out.body) {
			return template.Misfitf("body: it makes no JSON of it: %s", text.Excerpt(body, text.ExcerptSize))
		}
	}
	return nil
}

// fillURL makes the URL for an event. Only path and query depend on the event. The
// path must not have segments of dots, plain or escaped, because a server may
// follow them out of the folder that the target names.
func (f *requestForm) fillURL(d *template.Data) (*url.URL, error) {
	rendered, err := f.path.Render(d)
	if err != nil {
		return nil, err
	}
	path, query, has := strings.Cut(rendered, "?")
	u := *f.url
	u.RawPath, u.RawQuery, u.ForceQuery = path, query, has && query == ""
	if u.Path, err = url.PathUnescape(path); err != nil || u.EscapedPath() != path {
		return nil, template.Misfitf("it makes the path %q of it, which is none", text.Excerpt(path, text.ExcerptSize))
	}
	switch {
	case !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//"):
		return nil, template.Misfitf("it makes the path %q of it, which does not begin with one slash", text.Excerpt(path, text.ExcerptSize))
	case climbs(path):
		return nil, template.Misfitf("it makes the path %q of it, which has a segment of dots", text.Excerpt(path, text.ExcerptSize))
	}
	return &u, nil
}

// climbs tells whether a path has a segment "." or "..", after any number of
// decodings.
func climbs(path string) bool {
	for {
		for segment := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '/' || r == '\\' }) {
			segment, _, _ = strings.Cut(segment, ";")
			if segment == "." || segment == ".." {
				return true
			}
		}
		next, err := url.PathUnescape(path)
		if err != nil || next == path {
			return false
		}
		path = next
	}
}
