package target

import (
	"strings"
	"testing"
)

func TestHeaderValue(t *testing.T) {
	for s, want := range map[string]string{
		"":                "",
		"kong":            "kong",
		"a b":             "a b",
		" a ":             "%20a%20",
		"a\r\nX: y\x00":   "a%0D%0AX: y%00",
		"100%":            "100%25",
		"gr\u00fcn\x7f":   "gr%C3%BCn%7F",
		"\t":              "%09",
		" ":               "%20",
		"~!\"#&'()[]{}\\": "~!\"#&'()[]{}\\",
	} {
		if got := headerValue(s); got != want {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	}
	if got := headerValue(strings.Repeat("x", 5000)); got != strings.Repeat("x", maxHeaderValue) {
		t.Errorf("a long name became one of %d bytes", len(got))
	}
	got := headerValue("x" + strings.Repeat("\xff", 5000))
	if want := "x" + strings.Repeat("%FF", 341); got != want {
		t.Errorf("cut at %q", got[len(got)-6:])
	}
}
