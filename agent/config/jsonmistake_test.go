package config

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestMistakesInJSON(t *testing.T) {
	for data, want := range map[string]string{
		"":                         "1:1: the file is empty",
		" \n ":                     "2:2: the file is empty",
		"{\n\"a\": 1,\n}":          "2:7: a comma before the closing brace: remove it",
		"[1, 2 , ]":                "1:7: a comma before the closing bracket: remove it",
		"{\"a\": 1,,}":             "1:9: a comma too many",
		"{\"a\": ,}":               "1:7: a value is missing before this comma",
		"{\"a\": }":                "1:7: a value is missing here",
		"{,}":                      "1:2: a comma too many",
		"{\"a\": 1 // one\n}":      "1:9: JSON has no comments",
		"{ /* one */ \"a\": 1}":    "1:3: JSON has no comments",
		"# one\n{}":                "1:1: JSON has no comments",
		"{\"a\": # one\n 1}":       "1:7: JSON has no comments",
		"{} // end":                "1:4: JSON has no comments",
		"{} {}":                    "1:4: something follows the end",
		"{\"ä\": 1\n\"b\": 2}":     "2:1: a comma is missing before this",
		"{\"ä\": 1 \"b\": 2}":      "1:9: a comma is missing before this",
		"[1 2]":                    "1:4: a comma is missing before this",
		"{\"a\" 1}":                "1:6: a colon is missing after the key",
		"{\"a\" = 1}":              "1:6: a colon is missing after the key",
		"{a: 1}":                   "1:2: a key has to begin here, in double quotes",
		"{'a': 1}":                 "1:2: a single quote: JSON takes double quotes only",
		"{\"a\": 'b'}":             "1:7: a single quote",
		"{\"a\": s3cret}":          "1:7: this is no value: a text needs double quotes",
		"{\"a\": 30s}":             "1:7: no number that JSON has",
		"{\"a\": 10.0.0.1}":        "1:7: no number that JSON has",
		"{\"a\": 010}":             "1:7: no number that JSON has",
		"{\"a\": +1}":              "1:7: no number that JSON has",
		"{\"a\": 1.}":              "1:7: no number that JSON has",
		"{\"a\": True}":            "1:7: write true, false and null in small letters",
		"{\"a\": None}":            "1:7: write null for nothing",
		"{\"a\": \"b\n}":           "1:7: the text that begins here has no closing double quote on its line",
		"{\"a\": \"b":              "1:7: the text that begins here has no closing double quote: the file ends",
		"{\"a\": \"b\tc\"}":        `1:9: a control character in a text: write it as \u0009`,
		`{"a": "C:\dir"}`:          `1:10: a backslash that JSON does not know`,
		`{"a": "\u12"}`:            `1:8: \u wants four digits`,
		"{\"a\": [1}":              `1:9: '}' closes what another sign opened: want ']'`,
		"{\n\"a\": [1,\n":          "3:1: the file ends too early: the bracket of line 2 is not closed",
		"{\"a\":":                  "1:6: the file ends too early",
		"\xef\xbb\xbf{}":           "1:1: the file begins with a byte order mark",
		"\xff\xfe{\x00":            "1:1: the file is UTF-16",
		strings.Repeat("[", 1<<20): "1:10002: there are too many brackets",
		`{"a": [-0.5e-3, 1E9, 0, "\u00fc\n", true, null, {}, []]}`: "",
	} {
		got := ""
		if m := findMistake([]byte(data)); m != nil {
			line, column := lineAndColumn([]byte(data), m.at)
			got = fmt.Sprintf("%d:%d: %s", line, column, m.what)
		}
		if !strings.HasPrefix(got, want) || want == "" && got != "" || strings.Contains(got, "s3cret") {
			t.Errorf("%.40q: %q, want %q", data, got, want)
		}
	}
}

// FuzzFindMistake holds the search against the decoder: it finds a mistake where the
// decoder does, and nowhere else.
func FuzzFindMistake(f *testing.F) {
	for _, s := range []string{`{"a": [1, 2.5e3, "x\n", null], "b": {}}`, `[01]`, `{"a": 1,}`, `"\ud800"`, `-`, `1e`, "{} x", "[\x00]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m := findMistake(data)
		if valid := json.Valid(data); valid != (m == nil) {
			t.Fatalf("%q: valid is %v, and the mistake %+v", data, valid, m)
		}
		if m != nil && (m.at < 0 || m.at > len(data) || strings.Contains(m.what, "\n")) {
			t.Fatalf("%q: %+v", data, m)
		}
	})
}

// A message names a key as its file spells it, and where it is a file's, in each check.
func TestKeysAreNamedAsInTheirFile(t *testing.T) {
	one := fileNamed(t, "one.json", `{"Profile": "moon", "targets": [{"url": "http://127.0.0.1/"}],
"encrypt_key": "AAAA", "Rejoin_After_Leave": true, "Retry_Interval": "1ms", "role": "x"}`)
	two := fileNamed(t, "two.json", `{"Targets": [{"URL": "127.0.0.1/", "order_key": "a+"}], "event_handlers": ["user=ftp://h/"],
"keyring_file": "/none"}`)
	_, err := Compile(Input{Defaults: DefaultOptions(), Files: []string{one, two}})
	if err == nil {
		t.Fatal("no error")
	}
	e := err.(*Error)
	got := strings.Join(append(strings.Split(e.Error(), "\n"), e.Warnings...), "\n")
	for _, want := range []string{
		one + `:1:2: Profile: unknown profile "moon"`,
		one + `:2:1: encrypt_key: cannot be given together with keyring_file`,
		one + `:2:24: Rejoin_After_Leave: has no effect without -snapshot or -data-dir`,
		one + `:2:52: Retry_Interval: 1ms is too low, using 1s`,
		one + `:2:77: role: deprecated`,
		two + `:1:15: Targets[0].URL: "127.0.0.1/" has no scheme: write http://127.0.0.1/`,
		two + `:1:36: Targets[0].order_key: "a+" has`,
		two + `:1:57: event_handlers "user=ftp://h/": ftp:// is no scheme`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nis missing in\n%s", want, got)
		}
	}
}

// Files of keys and tags say what is wrong where, too, and never what they hold.
func TestMistakesInFilesOfTexts(t *testing.T) {
	for data, want := range map[string]string{
		"{\"a\": \"b\",\n\"c\": [\"d\"]}": `:2:6: not a JSON object of texts: a list stands where a text belongs`,
		"{\"a\": 5}":                      `:1:7: not a JSON object of texts: a number stands where a text belongs`,
		"{\"a\": \"b\",}":                 `:1:10: not a JSON object of texts: a comma before the closing brace`,
		"[]":                              `:1:1: not a JSON object of texts, but a list`,
	} {
		path := fileNamed(t, "tags", data)
		if _, err := (files{}).tags(path); err == nil || !strings.HasPrefix(err.Error(), path+want) {
			t.Errorf("%q: %v, want %q", data, err, want)
		}
	}
	path := fileNamed(t, "keys", "[\"a\", {\"s3cret\": 1}]")
	if _, err := (files{}).keyring(path); err == nil || err.Error() != path+`:1:7: not a JSON list of keys: an object stands where a text belongs` {
		t.Error(err)
	}
}
