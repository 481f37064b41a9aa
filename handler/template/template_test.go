package template

import (
	"errors"
	"strings"
	"testing"
	"time"

	"agentctl/handler"
	"agentctl/scripts/testkit"
)

// render makes the text of a template for a user event with a payload.
func render(t *testing.T, text string, begin Context, payload string) (string, error) {
	t.Helper()
	tmpl, err := Compile(text, begin)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	e := handler.NewUser(7, "purge", []byte(payload), time.Time{})
	return tmpl.Render(NewData(&e))
}

// The same value, escaped for each context in which it can stand.
func TestEscapes(t *testing.T) {
	const payload = `{"v":"a b/c?d&\"e\"\\;é","n":1.50,"l":["x","y"]}`
	for _, tt := range []struct {
		template string
		begin    Context
		want     string
	}{
		{"/fixed?q={1}", InPath, "/fixed?q={1}"},
		{"/{{.v}}/x", InPath, `/a%20b%2Fc%3Fd&%22e%22%5C%3B%C3%A9/x`},
		{"/x?v={{.v}}&n={{.n}}", InPath, `/x?v=a%20b%2Fc%3Fd%26%22e%22%5C%3B%C3%A9&n=1.50`},
		{"n={{.n}}", InHeader, "n=1.50"},
		{`"{{.v}}"`, InHeader, `"a b/c?d&\"e\"\\;é"`},
		{`{{join ", " .l}}`, InHeader, "x, y"},
		{`{{pattern .v}}`, InHeader, `a\x20b/c?d&\x22e\x22\;\xC3\xA9`},
		{`{{anyof .l}}`, InHeader, "x|y"},
		{`{"v":{{.v}},"l":{{.l}},"n":{{.n}}}`, InJSON, `{"v":"a b/c?d&\"e\"\\;é","l":["x","y"],"n":1.50}`},
		{`{"v":"<{{.v}}>"}`, InJSON, `{"v":"<a b/c?d&\"e\"\\;é>"}`},
		{`{{payload}}`, InJSON, payload},
		{`{{if .n}}PURGE{{else}}BAN{{end}}`, InMethod, "PURGE"},
	} {
		got, err := render(t, tt.template, tt.begin, payload)
		if err != nil {
			t.Errorf("%s: %v", tt.template, err)
		}
		testkit.Want(t, tt.template, got, tt.want)
	}
}

// Host and path, of each form in which an event names its object.
func TestHostAndPath(t *testing.T) {
	for payload, want := range map[string]string{
		`{"url":"https://Shop.example:443/a%20b?c=d#e"}`: "shop.example /a%20b?c=d",
		`{"url":"http://shop.example:8080"}`:             "shop.example:8080 /",
		`http://shop.example/x|y`:                        "shop.example /x%7Cy",
		`{"host":"shop.example","path":"/a b"}`:          "shop.example /a%20b",
	} {
		host, err := render(t, "{{host}}", InHeader, payload)
		path, perr := render(t, "{{path}}", InPath, payload)
		if err := errors.Join(err, perr); err != nil {
			t.Errorf("%s: %v", payload, err)
		}
		testkit.Want(t, payload, host+" "+path, want)
	}
}

func TestMisfits(t *testing.T) {
	for _, tt := range []struct {
		template string
		begin    Context
		payload  string
		want     string // part of the error
	}{
		{"/{{.v}}", InPath, `{}`, "the event has no .v"},
		{"/{{.v}}", InPath, `no object`, "the event has no .v"},
		{"/{{.v}}", InPath, `{"v":""}`, ".v is empty"},
		{"/{{.v}}", InPath, `{"v":["x"]}`, ".v is a list or an object"},
		{"/{{.v}}", InPath, `{"v":"` + strings.Repeat("x", maxRenderedLine) + `"}`, "more than 8192 bytes"},
		{"{{.v}}", InHeader, `{"v":"a, b"}`, `.v has a ','`},
		{"{{.v}}", InHeader, `{"v":"a\r\nX: y"}`, ".v has a control character"},
		{`"{{.v}}"`, InHeader, `{"v":"a\nb"}`, ".v has a control character"},
		{`{{join ", " .v}}`, InHeader, `{"v":["a","b c"]}`, `"b c" cannot stand in a list`},
		{`{{join ", " .v}}`, InHeader, `{"v":[]}`, "a list of it is empty"},
		{`{{pattern .v}}`, InHeader, `{"v":"a) || (b"}`, "a group or class is not closed"},
		{`{{pattern .v}}`, InHeader, `{"v":"[a"}`, "a group or class is not closed"},
		{`{{payload}}`, InJSON, `{"v":`, "payload is not JSON"},
		{"{{path}}", InPath, `{"path":"x"}`, ".path does not begin with a slash"},
		{"{{path}}", InPath, `{"url":"http://h/","path":"/x"}`, "both .url and .path"},
		{"{{host}}", InHeader, `{"host":"a b"}`, "is no host"},
		{"/{{.v}}", InPath, `{"v":"a\ud800"}`, ".v is not UTF-8"},
		{"/{{.v}}", InPath, `{"v":"\udc00a"}`, ".v is not UTF-8"},
		{"/{{.v}}", InPath, `{"v":"\ud800\u0041"}`, ".v is not UTF-8"},
		{"/{{.v}}", InPath, "{\"v\":\"a\xe9\"}", ".v is not UTF-8"},
		{"/x?v={{.v}}", InPath, "{\"v\":\"a\xe9\"}", ".v is not UTF-8"},
		{"{{pattern .v}}", InHeader, "{\"v\":\"a\xe9\"}", "is not UTF-8"},
		{"{{anyof .v}}", InHeader, "{\"v\":[\"a\xe9\"]}", "is not UTF-8"},
		{"{{path}}", InPath, "{\"path\":\"/a\xe9\"}", ".path is not UTF-8"},
		{`{"v":{{.v}}}`, InJSON, `{"v":["x",{"w":"\udfff"}]}`, ".v is not UTF-8"},
		{`{"v":{{.v}}}`, InJSON, `{"v":{"a\ud800":1}}`, ".v is not UTF-8"},
		{`{"v":"{{.v}}"}`, InJSON, `{"v":"\ud800"}`, ".v is not UTF-8"},
		{`{"v":{{.}}}`, InJSON, `{"\ud800":1}`, ". is not UTF-8"},
		{`{"v":{{.path}}}`, InJSON, "/a\xe9", ".path is not UTF-8"},
		{`{"v":"{{.path}}"}`, InJSON, "/a\xe9", ".path is not UTF-8"},
	} {
		got, err := render(t, tt.template, tt.begin, tt.payload)
		if _, ok := errors.AsType[*Misfit](err); !ok || !strings.Contains(err.Error(), tt.want) || got != "" {
			t.Errorf("%s with %.40s: %q, %v; want an error with %q", tt.template, tt.payload, got, err, tt.want)
		}
	}
}

// A text that is read as it was meant is sent, also beside one that is not, and also if
// it has U+FFFD itself.
func TestNotGarbled(t *testing.T) {
	for _, tt := range []struct {
		template string
		begin    Context
		payload  string
		want     string
	}{
		{"/{{.v}}", InPath, `{"v":"\ud83d\ude00"}`, "/%F0%9F%98%80"},
		{"/{{.v}}", InPath, `{"v":"\\ud800"}`, "/%5Cud800"},
		{"/{{.v}}", InPath, `{"v":"\ufffd"}`, "/%EF%BF%BD"},
		{"/{{.v}}", InPath, `{"v":"x","w":"\ud800"}`, "/x"},
		{`{{payload}}`, InJSON, `{"v":"\ud800"}`, `{"v":"\ud800"}`},
		{"{{path}}", InPath, "/a\xe9", "/a%E9"}, // a path is bytes
	} {
		got, err := render(t, tt.template, tt.begin, tt.payload)
		if err != nil || got != tt.want {
			t.Errorf("%s with %q: %q, %v, want %q", tt.template, tt.payload, got, err, tt.want)
		}
	}
}

// The name of a member comes from the network, too.
func TestGarbledMember(t *testing.T) {
	tmpl, err := Compile("/{{.entity}}", InPath)
	if err != nil {
		t.Fatal(err)
	}
	for name, fits := range map[string]bool{"a": true, "a\ufffd": true, "a\xe9": false} {
		e := handler.NewMember(handler.MemberJoin, "1", handler.MemberLine(name, "10.0.0.1", "", nil), time.Time{})
		if _, err := tmpl.Render(NewData(&e)); (err == nil) != fits {
			t.Errorf("member %q: %v", name, err)
		}
	}
}

// A template from which a value could break out does not compile.
func TestCompileRefuses(t *testing.T) {
	for _, tt := range []struct {
		template string
		begin    Context
		want     string // part of the error
	}{
		{"{{.v}}", InMethod, "a method cannot come from an event"},
		{"{{path}}/x", InPath, "nothing can follow it"},
		{"/{{if .v}}?{{end}}{{.v}}", InPath, "must stand outside of if"},
		{`{{if .v}}"{{end}}{{.v}}`, InHeader, "in one case"},
		{`[{{range .l}}{{.}}{{end}}]`, InJSON, "could not come twice"},
		{`"{{.v}}`, InHeader, "not closed"},
		{`{"{{.v}}`, InJSON, "not closed"},
		{`{"a":1{{.v}}}`, InJSON, "no value can stand here"},
		{`"\u00{{.v}}"`, InJSON, "within an escape"},
		{`{{printf "%s" .v}}`, InJSON, `function "printf" not defined`},
		{`{{define "x"}}{{end}}`, InJSON, "cannot be used here"},
		{`/é{{.v}}`, InPath, "write it as %XX"},
	} {
		if _, err := Compile(tt.template, tt.begin); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want an error with %q", tt.template, err, tt.want)
		}
	}
}
