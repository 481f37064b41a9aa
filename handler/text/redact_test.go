package text

import (
	"testing"
	"unicode/utf8"
)

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"a script":                       "a script",
		"http://h:80/a@b":                "http://h:80/a@b",
		"http://h/a@b":                   "http://h/a@b",
		"http://user@h/":                 "http://user@h/",
		"http://u:p@h/":                  "http://u:xxxxx@h/",
		"user:x=https://u:p@h/?a=b":      "user:x=https://u:xxxxx@h/?a=b",
		"http://u:p@ss@h/":               "http://u:xxxxx@h/",
		"http://u:p/q?r#s@h/":            "http://u:xxxxx@h/",
		"http://:p@h":                    "http://:xxxxx@h",
		"curl http://u:p@h http://v:q@i": "curl http://u:xxxxx@h http://v:xxxxx@i",
	} {
		if got := Redact(in); got != want {
			t.Errorf("redact(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestShortenKeepsUTF8(t *testing.T) {
	for n := range 7 {
		if got := Shorten("aüüü", n); !utf8.ValidString(got) || len(got) > n+len("…") {
			t.Errorf("shorten to %d: %q", n, got)
		}
	}
}
