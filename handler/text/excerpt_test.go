package text

import "testing"

func TestExcerpt(t *testing.T) {
	for s, want := range map[string]string{
		" ok \n":                "ok",
		"a\x1b[1m\r\n\x00b\xff": `a\x1b[1m\r\n\x00b\xff`,
		`{"a":"n"}`:             `{"a":"n"}`,
		"0123456789":            "0123456789",
		"0123456789x":           "0123456789...",
		"012345678\u00fcx":      "012345678...",
		"01234567\u00fcx":       "01234567\u00fc...",
		"\u202e":                `\u202e`,
	} {
		if got := Excerpt(s, 10); got != want {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	}
}
