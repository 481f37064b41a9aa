package screen

import (
	"strings"
	"unicode"
)

// columns guesses how many columns a character takes.
func columns(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana),
		r >= 0x3000 && r <= 0x303e, r >= 0xff01 && r <= 0xff60, r >= 0x1f300 && r <= 0x1faff:
		return 2
	}
	return 1
}

// Width is how many columns a text takes.
func Width(text string) (n int) {
	for _, r := range text {
		n += columns(r)
	}
	return n
}

// Clip cuts a text that is wider than that, and lets it end in "…".
func Clip(text string, width int) string {
	if Width(text) <= width {
		return text
	}
	n := 0
	for i, r := range text {
		if n += columns(r); n > width-1 {
			return text[:i] + strings.Repeat("…", min(width, 1))
		}
	}
	return text
}

// safe is a text in which a terminal finds nothing to act on.
func safe(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '·'
	}, text)
}
