package text

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// ExcerptSize is how many bytes of an answer or a name an error or a log line
// shows.
const ExcerptSize = 200

// Excerpt returns the beginning of a text that a stranger wrote, fit for a log
// line and a terminal. It cuts the text to limit bytes, without splitting a
// character, and marks the cut with "...". Control and other unprintable
// characters come out escaped, as in Go's string literals, so the result may be
// up to four times as long.
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
