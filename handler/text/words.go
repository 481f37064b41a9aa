package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// IsToken tells whether s can be an HTTP method or the name of a header: what
// RFC 9110 calls a token.
func IsToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	})
}

// NotInHeader tells whether r cannot stand in the value of a header. Only
// printable ASCII can: servers disagree on everything else.
func NotInHeader(r rune) bool { return r < ' ' || r > '~' }

// Printable tells whether s is UTF-8 without control characters.
func Printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
}
