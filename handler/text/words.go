package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// IsToken tells whether s can be a method or a header's name.
func IsToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	})
}

func NotInHeader(r rune) bool { return r < ' ' || r > '~' }

func Printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
}
