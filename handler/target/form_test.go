package target

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"agentctl/handler"
	"agentctl/handler/template"
)

// shown is a filled form in one text.
func shown(f filledForm) string {
	s := f.method + " " + f.url.RequestURI() + " " + f.host
	for _, name := range []string{"X-A", "X-Ban", "Surrogate-Key"} {
		if v := f.header[name]; v != nil {
			s += " " + name + ": " + strings.Join(v, "|")
		}
	}
	if len(f.body) > 0 {
		s += " " + string(f.body)
	}
	return s
}

// fill makes a target's request for a payload, or an error's text.
func fill(t *testing.T, target Target, payload string) string {
	t.Helper()
	if err := target.Validate(); err != nil {
		t.Fatal(err)
	}
	target = target.WithDefaults()
	form, err := newRequestForm(&target)
	if err != nil {
		t.Fatal(err)
	}
	e := handler.NewUser(7, "purge", []byte(payload), time.Now())
	f, err := form.fill(&e)
	if err == nil {
		return shown(f)
	}
	if m, ok := errors.AsType[*template.Misfit](err); !ok {
		t.Errorf("%v is no misfit, but %T", err, m)
	}
	return "misfit: " + err.Error()
}

// The requests of an event by context: the same values make no more of each context
// than one value.
func TestTemplateContexts(t *testing.T) {
	nasty := `"x\" y/../z?#%\r\nü;@"`
	for _, c := range []struct {
		target        Target
		payload, want string
	}{
		{Target{URL: "http://h/a/{{.k}}/b"}, `{"k":"plugins:1@2"}`, `POST /a/plugins:1@2/b h {"k":"plugins:1@2"}`},
		{Target{URL: "http://h/a/{{.k}}/b", Method: "GET"}, `{"k":"x y/z?#%ü;"}`, `GET /a/x%20y%2Fz%3F%23%25%C3%BC%3B/b h`},
		{Target{URL: "http://h/a/{{.k}}", Method: "GET"}, `{"k":"x\u0000\r\n"}`, `GET /a/x%00%0D%0A h`},
		{Target{URL: "http://h/?a={{.k}}&b=1", Method: "GET"}, `{"k":` + nasty + `}`, `GET /?a=x%22%20y%2F..%2Fz%3F%23%25%0D%0A%C3%BC%3B%40&b=1 h`},
		{Target{URL: "unix:/s:/a/{{.k}}?n={{.n}}&b={{.b}}", Method: "GET"}, `{"k":1e400,"n":12345678901234567890,"b":true}`,
			`GET /a/1e400?n=12345678901234567890&b=true localhost`},
		{Target{URL: "http://h/{{.a.b}}/{{index .l 1}}", Method: "GET"}, `{"a":{"b":"c"},"l":[1,2]}`, `GET /c/2 h`},
		{Target{URL: "http://h/", Method: "{{if .all}}BAN{{else}}PURGE{{end}}"}, `{"all":"x"}`, `BAN / h`},
		{Target{URL: "http://h/", Method: "{{if .all}}BAN{{else}}PURGE{{end}}"}, `no JSON`, `PURGE / h`},
		{Target{URL: "http://h/?{{range $i, $t := .tags}}{{if $i}}&{{end}}t={{$t}}{{end}}", Method: "GET"}, `{"tags":["a&b","c"]}`, `GET /?t=a%26b&t=c h`},
		{Target{URL: "http://h/", Method: "GET", Header: http.Header{"X-A": {"{{.k}}"}}}, `{"k":"caf\u00e9/1"}`, "GET / h X-A: caf\u00e9/1"},
		{Target{URL: "http://h/", Method: "GET", Header: http.Header{"X-A": {`k="{{.k}}"`}}}, `{"k":"a\"b\\, c;"}`, `GET / h X-A: k="a\"b\\, c;"`},
		{Target{URL: "http://h/", Method: "GET", Header: http.Header{"X-A": {"{{event.name}} {{event.ltime}} {{event.id}} {{event.type}}"}}}, `{}`,
			`GET / h X-A: purge 7 7-` + handler.ShortSum(handler.Sum("purge", []byte(`{}`))) + ` user`},
		{Target{URL: "http://h/", Body: `{"s":"<{{.k}}>","v":{{.k}},"l":{{.l}}}`}, `{"k":` + nasty + `,"l":[1,{"a":"<"}]}`,
			`POST / h {"s":"<x\" y/../z?#%\r\nü;@>","v":"x\" y/../z?#%\r\nü;@","l":[1,{"a":"<"}]}`},
		{Target{URL: "http://h/", Body: `{{if .k}}{"k":"{{.k}}"}{{else}}{{payload}}{{end}}`}, ` {"n": 1} `, `POST / h  {"n": 1} `},
		{Target{URL: "http://h/", Body: "fixed", Method: "DELETE"}, `{}`, `DELETE / h fixed`},
		{Target{URL: "http://h{{path}}", Method: "PURGE", Header: http.Header{"Host": {"{{host}}"}}}, `https://EXAMPLE.org:443/a%2fb;c?x=[1]&y=z"#f`,
			`PURGE /a%2fb;c?x=[1]&y=z%22 example.org`},
		{Target{URL: "http://h{{ path }}", Method: "PURGE", Header: http.Header{"Host": {"{{host}}"}}}, `{"host":"[::1]:8080","path":"/ü b?"}`,
			`PURGE /%C3%BC%20b? [::1]:8080`},
		{Target{URL: "http://h/p{{path}}", Method: "PURGE"}, `/a?b`, `PURGE /p/a?b h`},
		{Target{URL: "http://h/p{{path}}", Method: "PURGE"}, `http://e.org?b`, `PURGE /p/?b h`},
	} {
		if got := fill(t, c.target, c.payload); got != c.want {
			t.Errorf("%s %s with %s:\n%s, want\n%s", c.target.Method, c.target.URL, c.payload, got, c.want)
		}
	}
}

// An event of which no whole request can be made is not sent, and the error
// says what it lacks.
func TestTemplateMisfits(t *testing.T) {
	path := Target{URL: "http://h/cache/{{.key}}/x"}
	purge := Target{URL: "http://h{{path}}", Method: "PURGE", Header: http.Header{"Host": {"{{host}}"}}}
	header := Target{URL: "http://h/", Header: http.Header{"X-A": {"{{.key}}"}}}
	list := Target{URL: "http://h/", Header: http.Header{"X-A": {`{{join ", " .tags}}`}}}
	re := Target{URL: "http://h/", Header: http.Header{"X-A": {`~ {{pattern .regex}}`}}}
	for _, c := range []struct {
		target        Target
		payload, want string
	}{
		{path, `{}`, "url: the event has no .key"},
		{path, `{"key":null}`, "url: the event has no .key"},
		{path, `not JSON`, "url: the event has no .key (its payload is no JSON object)"},
		{path, `{"key":"a"} {}`, "url: the event has no .key (its payload is no JSON object)"},
		{path, `["key"]`, "url: the event has no .key (its payload is no JSON object)"},
		{path, `{"key":""}`, "url: .key is empty"},
		{path, `{"key":{"a":1}}`, "url: .key is a list or an object"},
		{path, `{"key":".."}`, "segment of dots"},
		{path, `{"key":"..;x"}`, "segment of dots"},
		{path, `{"key":"a/.."}`, "segment of dots"},
		{path, `{"key":"a\\..\\b"}`, "segment of dots"},
		{path, `{"key":"%2e%2E"}`, "segment of dots"},
		{path, `{"key":"a%2f.%2fb"}`, "segment of dots"},
		{path, `{"key":"` + strings.Repeat("x", 9000) + `"}`, "more than 8192 bytes"},
		{Target{URL: "http://h/{{.a.b}}"}, `{"a":1}`, "can't evaluate field b"},
		{purge, `{"host":"e.org"}`, "names no path: it needs .url or .path"},
		{purge, `{"path":"/a"}`, "header Host: it names no host: it needs .url or .host"},
		{purge, `{"url":"https://e.org/a","path":"/b"}`, "both .url and .path"},
		{purge, `{"url":"https://e.org/a","host":"f.org"}`, "both .url and .host"},
		{purge, `{"url":["https://e.org/a"]}`, ".url is not a text"},
		{purge, `{"url":"https://u@e.org/a"}`, ".url has a user in it"},
		{purge, `{"url":"ftp://e.org/a"}`, "no http or https URL"},
		{purge, `{"url":"https://e.org/a/../b"}`, "segment of dots"},
		{purge, `{"url":"https://e.org/a/%2e%2e/b"}`, "segment of dots"},
		{purge, `{"url":"https://e.org//evil.test/"}`, "does not begin with one slash"},
		{purge, `{"host":"e.org","path":"a"}`, "does not begin with a slash"},
		{purge, `{"host":"e.org","path":"/a#b"}`, "a #"},
		{purge, `{"host":"e.org\r\nX: y","path":"/"}`, "is no host"},
		{purge, `{"host":"e.org/x","path":"/"}`, "is no host"},
		{purge, `{"host":"a@e.org","path":"/"}`, "is no host"},
		{purge, `{"host":"bücher.test","path":"/"}`, "is no host"},
		{header, `{"key":"a\r\nX-B: c"}`, "a control character"},
		{header, `{"key":"a\u0000"}`, "a control character"},
		{header, `{"key":"a\u0085b"}`, "a control character"},
		{header, `{"key":"a, b"}`, `has a ','`},
		{header, `{"key":"a b"}`, `has a ' '`},
		{header, `{"key":"a;b"}`, `has a ';'`},
		{list, `{"tags":[]}`, "is empty"},
		{list, `{"tags":["a",""]}`, "an empty text"},
		{list, `{"tags":["a, b"]}`, "cannot stand in a list"},
		{list, `{"tags":[["a"]]}`, "is a list or an object"},
		{list, `{}`, "the event has no such list"},
		{re, `{"regex":"a)|(b"}`, "not closed"},
		{re, `{"regex":"[a"}`, "not closed"},
		{re, `{"regex":"a\\"}`, "ends in a backslash"},
		{re, `{"regex":"\\Qa"}`, `has \Q`},
		{Target{URL: "http://h/", Body: `{"a":{{payload}}}`}, `a`, "body: payload is not JSON"},
		{Target{URL: "http://h/", Body: `{"a":1{{if .k}},{{end}}}`}, `{"k":1}`, "it makes no JSON of it"},
	} {
		got := fill(t, c.target, c.payload)
		if !strings.HasPrefix(got, "misfit: ") || !strings.Contains(got, c.want) {
			t.Errorf("%s with %.80s:\n%s, want\nmisfit: %s", c.target.URL, c.payload, got, c.want)
		}
	}
}

// A template that is wrong is refused with the configuration, and the error
// says what is wrong with which part.
func TestTemplateErrors(t *testing.T) {
	for _, c := range []struct {
		target Target
		want   string
	}{
		{Target{URL: "http://{{.host}}/"}, "url: placeholders may stand only in path and query"},
		{Target{URL: "{{.scheme}}://h/"}, "url: "},
		{Target{URL: "http://h:{{.port}}/"}, "url: placeholders may stand only in path and query"},
		{Target{URL: "http://h{{.tld}}/"}, "an event cannot choose the host"},
		{Target{URL: "http://u:{{.p}}@h/"}, "url: placeholders may stand only in path and query"},
		{Target{URL: "unix:/{{.s}}:/"}, "only in the path behind the socket"},
		{Target{URL: "http://h/{{.a"}, "url: unclosed action"},
		{Target{URL: "http://h/{{.a}}{{end}}"}, "url: unexpected {{end}}"},
		{Target{URL: `http://h/{{printf "%s" .a}}`}, `url: function "printf" not defined`},
		{Target{URL: "http://h/{{_segment .a}}"}, `function "_segment" not defined`},
		{Target{URL: "http://h/{{.a}}#f"}, "cannot stand in a URL as it is"},
		{Target{URL: "http://h/ {{.a}}"}, "cannot stand in a URL as it is"},
		{Target{URL: "http://h/%{{.a}}"}, "cannot stand in a URL as it is"},
		{Target{URL: "http://h/p{{path}}/x"}, "url: {{path}} brings its query with it"},
		{Target{URL: "http://h/{{if .q}}?q={{.q}}{{end}}"}, "must stand outside of if"},
		{Target{URL: `http://h/{{define "x"}}{{end}}{{.a}}`}, "define and block cannot be used"},
		{Target{URL: `http://h/{{range .a}}{{break}}{{end}}`}, "break and continue cannot be used"},
		{Target{URL: "http://h/", Method: "{{.method}}"}, "method: {{.method}}: a method cannot come from an event"},
		{Target{URL: "http://h/", Method: "{{if .a}}A B{{end}}"}, `method: "A B" can be no part`},
		{Target{URL: "http://h/", Header: http.Header{"X-A": {`"{{.a}}`}}}, "headers: the template of X-A: a quote is opened and not closed"},
		{Target{URL: "http://h/", Header: http.Header{"X-A": {`{{if .a}}"{{end}}{{.a}}"`}}}, "in one case"},
		{Target{URL: "http://h/", Header: http.Header{"{{.a}}": {"b"}}}, `"{{.a}}" is no name of a header`},
		{Target{URL: "http://h/", Body: `{"a":"\{{.a}}"}`}, "within an escape"},
		{Target{URL: "http://h/", Body: `{"a":"\u00{{.a}}"}`}, "within an escape"},
		{Target{URL: "http://h/", Body: `{{.a}}{{.b}}`}, "body: {{.b}}: no value can stand here"},
		{Target{URL: "http://h/", Body: `[1{{.a}}]`}, "no value can stand here"},
		{Target{URL: "http://h/", Body: `[{{.a}}0]`}, "follows a value"},
		{Target{URL: "http://h/", Body: `{"a":"{{.a}}}`}, "a quote is opened and not closed"},
		{Target{URL: "http://h/", Body: `{{.a}}`, Header: http.Header{"content-type": {"text/xml"}}}, "body: with placeholders it is JSON"},
		{Target{URL: "http://h/", Flush: &FlushRequest{Body: "{{.a"}}, "flush: body: unclosed action"},
		{Target{URL: "http://h/", Flush: &FlushRequest{URL: "http://{{.a}}/"}}, "flush: url: placeholders"},
		{Target{URL: "http://h/", Flush: &FlushRequest{LastEvent: true, Method: "GET"}}, "flush: it is the last event once more"},
	} {
		if err := c.target.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v:\n%v, want\n%s", c.target, err, c.want)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	for name, target := range map[string]Target{
		"fixed":     {URL: "http://h/cluster/events/"},
		"templates": {URL: "http://h/cache/{{.key}}", Method: "DELETE", Header: http.Header{"X-Reason": {`"{{.reason}}"`}}},
	} {
		b.Run(name, func(b *testing.B) {
			p := mustPoster(b, target)
			e := handler.NewUser(1, "n", []byte(`{"key":"a","reason":"b c"}`), time.Now())
			for b.Loop() {
				if _, err := p.form.fill(&e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
