package target

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"agentctl/handler"
	"agentctl/handler/template"
)

// fuzzTargets have a placeholder for x in one context each, with fixed text around
// it. Each by itself, since what one context refuses another may take.
var fuzzTargets = map[string]Target{
	"path":  {URL: "http://fixed.test:8080/a/{{.x}}/b?r=1", Method: "{{if .y}}PURGE{{else}}GET{{end}}"},
	"query": {URL: "http://fixed.test:8080/?q={{.x}}&r=1", Method: "GET"},
	"list":  {URL: "http://fixed.test:8080/", Method: "GET", Header: http.Header{"X-A": {"one, {{.x}}, three"}}},
	"join":  {URL: "http://fixed.test:8080/", Method: "GET", Header: http.Header{"X-A": {`{{join ", " .tags}}`}}},
	"quote": {URL: "http://fixed.test:8080/", Method: "GET", Header: http.Header{"X-A": {`a="{{.x}}"; b="2"`}}},
	"host":  {URL: "http://fixed.test:8080/", Method: "GET", Header: http.Header{"Host": {"{{.x}}"}}},
	"json":  {URL: "http://fixed.test:8080/", Body: `{"s":"<{{.x}}>","v":{{.x}},"l":{{.tags}},"t":1}`},
	"ban":   {URL: "http://fixed.test:8080/", Method: "BAN", Header: http.Header{"X-A": {"a ~ ^({{pattern .x}})$ && b == {{path}} && c ~ ({{anyof .tags}})"}}},
}

// wire makes the request of an event, sends it as bytes, and reads it as a
// server does; nil where the event is refused.
func wire(t *testing.T, p *Poster, e *handler.Event) *http.Request {
	t.Helper()
	f, err := p.form.fill(e)
	if err != nil {
		return nil
	}
	if u := f.url; u.Scheme != p.form.url.Scheme || u.Host != p.form.url.Host || u.User != nil || u.Opaque != "" || u.Fragment != "" {
		t.Fatalf("the URL leaves its host: %#v", u)
	}
	in := bufio.NewReader(io.MultiReader(bytes.NewReader(f.head(e, true)), bytes.NewReader(f.body)))
	req, err := http.ReadRequest(in)
	if err != nil {
		t.Fatalf("it cannot be read: %v\n%q", err, f.head(e, true))
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	if rest, _ := io.ReadAll(in); len(rest) > 0 {
		t.Fatalf("there is more than one request: %q", rest)
	}
	wanted := []string{"Content-Type", "User-Agent", "X-Serf-Event", "X-Serf-Event-Id", "X-Serf-Event-Ltime", "X-Serf-Event-Name"}
	for name := range p.target.Header {
		if name != "Host" {
			wanted = append(wanted, name)
		}
	}
	if len(body) > 0 || takesBody(req.Method) {
		wanted = append(wanted, "Content-Length")
	}
	if !slices.Equal(slices.Sorted(maps.Keys(req.Header)), slices.Sorted(slices.Values(wanted))) {
		t.Fatalf("headers are %v, want %v", slices.Sorted(maps.Keys(req.Header)), wanted)
	}
	return req
}

// FuzzTemplate: whatever an event holds, scheme, host, method and the names of
// headers are those of the configuration, and each placeholder stays where it
// is: what stands around it is there, and it reads as the event's value.
func FuzzTemplate(f *testing.F) {
	for _, x := range []string{"a", "..", "../..", "//evil.test/", "a/b?c=d&e#f", "a\r\nX-Evil: 1\r\n\r\n", "%2f..%2f", "\x00", "ü€",
		`"`, `\`, `","t":2,"u":"`, "a, b", "a;b", "@evil.test", ";jsessionid=1", "true", strings.Repeat("x", 9000), "%", "%zz", "\u2028", "{{.x}}"} {
		f.Add(x, []byte(`{"x":"`+x+`"}`))
	}
	f.Add("x", []byte(`{"x":1e999,"tags":[1,true]}`))
	f.Add("x", []byte(`{"x":{"a":[]},"x":"b","y":{}}`))
	contexts := map[string]*Poster{}
	for name, target := range fuzzTargets {
		contexts[name] = mustPoster(f, target)
	}
	targets := map[string]*Poster{}
	for _, p := range presets {
		targets[p.Name] = mustPoster(f, p.At("http://fixed.test:8080"))
	}
	f.Fuzz(func(t *testing.T, x string, payload []byte) {
		made, err := json.Marshal(map[string]any{"x": x, "y": strings.Contains(x, "/"), "tags": []string{x, "b"}, "path": "/" + x})
		if err != nil {
			t.Fatal(err)
		}
		for name, p := range contexts {
			checkContext(t, name, p, made)
			checkContext(t, name, p, payload)
		}
		for name, p := range targets {
			checkPreset(t, name, p, x, payload)
		}
	})
}

func mustPoster(tb testing.TB, target Target) *Poster {
	p, err := NewPoster(target)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(p.Close)
	return p
}

// checkContext makes the request of one of fuzzTargets for a payload.
func checkContext(t *testing.T, name string, p *Poster, payload []byte) {
	e := handler.NewUser(1, "n", payload, time.Now())
	req := wire(t, p, &e)
	if req == nil {
		return
	}
	fields := template.NewData(&e).Fields
	x, err := scalarText(fields["x"])
	if err != nil && name != "join" {
		t.Fatalf("%s: sent all the same: %v", name, err)
	}
	path, query, _ := strings.Cut(req.RequestURI, "?")
	header := req.Header.Get("X-A")
	ok := req.Host == "fixed.test:8080" && (path == "/" || name == "path")
	switch name {
	case "path":
		parts := strings.Split(path, "/")
		ok = ok && len(parts) == 4 && parts[1] == "a" && parts[3] == "b" && query == "r=1"
		if ok {
			got, err := url.PathUnescape(parts[2])
			ok = err == nil && got == x && (req.Method == "PURGE" || req.Method == "GET")
		}
	case "query":
		got, err := url.ParseQuery(query)
		ok = ok && err == nil && len(got) == 2 && got.Get("q") == x && got.Get("r") == "1"
	case "list":
		ok = ok && header == "one, "+x+", three" && !strings.ContainsAny(x, " ,;\"")
	case "join":
		tags, several := fields["tags"].([]any)
		ok = ok && (!several && !strings.Contains(header, ", ") || len(strings.Split(header, ", ")) == len(tags))
	case "quote":
		inner, begins := strings.CutPrefix(header, `a="`)
		inner, ends := strings.CutSuffix(inner, `"; b="2"`)
		ok = ok && begins && ends && strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(inner) == x &&
			!strings.Contains(strings.NewReplacer(`\\`, "", `\"`, "").Replace(inner), `"`)
	case "host":
		ok = req.Host == x && template.ValidHost(x)
	case "json":
		var body map[string]any
		dec := json.NewDecoder(req.Body)
		dec.UseNumber()
		ok = ok && dec.Decode(&body) == nil && len(body) == 4 && body["t"] == json.Number("1") &&
			body["s"] == "<"+x+">" && marshalled(body["v"]) == marshalled(fields["x"]) && marshalled(body["l"]) == marshalled(fields["tags"])
	case "ban":
		words := strings.Fields(header)
		ok = ok && len(words) == 11 && words[0] == "a" && strings.HasPrefix(words[2], "^(") && strings.HasSuffix(words[2], ")$") &&
			words[3] == "&&" && words[4] == "b" && words[7] == "&&" && words[8] == "c"
	}
	if !ok {
		t.Fatalf("%s: %s %s of %s, %q, for %q", name, req.Method, req.RequestURI, req.Host, header, payload)
	}
}

// checkPreset makes a preset's request for an event that has x in all fields,
// and for a payload as it is.
func checkPreset(t *testing.T, name string, p *Poster, x string, payload []byte) {
	made, err := json.Marshal(map[string]any{"url": "https://www.test/" + x, "key": x, "regex": x, "tags": []string{"a", x}})
	if err != nil {
		return
	}
	second, _ := json.Marshal(map[string]any{"host": x, "path": "/" + x, "regex": nil, "tags": x})
	third, _ := json.Marshal(map[string]any{"host": "www.test", "path": x})
	target := p.target
	for _, payload := range [][]byte{made, second, third, payload, []byte(x), []byte("https://" + x), []byte("/" + x)} {
		e := handler.NewUser(1, "n", payload, time.Now())
		req := wire(t, p, &e)
		if req == nil {
			continue
		}
		if req.Method != target.Method || !strings.HasPrefix(req.RequestURI, "/") || strings.HasPrefix(req.RequestURI, "//") || !template.ValidHost(req.Host) {
			t.Fatalf("%s: %s %s of %s", name, req.Method, req.RequestURI, req.Host)
		}
		if target.Header["Host"] == nil && req.Host != "fixed.test:8080" {
			t.Fatalf("%s: host %s", name, req.Host)
		}
		fixed, _, _ := strings.Cut(target.URL[len("http://fixed.test:8080"):], "{{")
		if path, _, _ := strings.Cut(req.RequestURI, "?"); !strings.HasPrefix(req.RequestURI, fixed) || climbs(path) {
			t.Fatalf("%s: path %s", name, req.RequestURI)
		}
		if name == "varnish-ban" {
			words := strings.Fields(req.Header.Get("X-Ban"))
			if len(words) != 3 && (len(words) != 7 || words[0] != "obj.http.x-host" || words[1] != "==" || words[3] != "&&") {
				t.Fatalf("ban %q", words)
			}
			if last := words[len(words)-3:]; last[0] != "obj.http.x-url" && last[0] != "obj.http.surrogate-key" || last[1] != "==" && last[1] != "~" {
				t.Fatalf("ban %q", words)
			}
		}
	}
}

// scalarText is a value of a JSON payload as a text, where it is no object or
// array.
func scalarText(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case bool:
		return strconv.FormatBool(v), nil
	}
	return "", fmt.Errorf("%T is no scalar", v)
}

func marshalled(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
