package text

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// ExcerptSize bounds what is shown of an answer in an error or a log line.
const ExcerptSize = 200

// Excerpt is the first bytes of text that strangers wrote, fit for a log line
// and a terminal: control and other unprintable characters are escaped.
func Excerpt(s string, limit int) string {
	s = strings.TrimSpace(s)
	cut := len(s) > limit
	if cut {
		s = s[:limit]
		// Not within a character, where there is one.
		for i := 1; i < utf8.UTFMax && i < len(s); i++ {
			if c := s[len(s)-i]; utf8.RuneStart(c) {
				if !utf8.FullRuneInString(s[len(s)-i:]) {
					s = s[:len(s)-i]
				}
				break
			}
		}
	}
	s = strconv.Quote(s)
	s = strings.ReplaceAll(s[1:len(s)-1], `\"`, `"`)
	if cut {
		s += "..."
	}
	return s
}
