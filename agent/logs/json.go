package logs

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
)

// EscapeJSON returns JSON with the same meaning, without characters that a terminal
// acts on or does not show. They can stand only in texts, where JSON has an escape for
// them. Lines and tabs stay.
func EscapeJSON(s string) string {
	if strings.IndexFunc(s, unshown) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case !unshown(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func unshown(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) }
