package agent

import (
	"fmt"
	"regexp"
	"strings"
)

// withPassword is a URL's scheme, user, and all up to the last @ of the word:
// a password that is not escaped as it should be may hold any sign.
var withPassword = regexp.MustCompile(`(://[^\s:/?#@]*:)(\S*)@`)

// redact hides the passwords of the URLs in s, a command or a handler.
func redact(s string) string {
	return withPassword.ReplaceAllStringFunc(s, func(m string) string {
		sub := withPassword.FindStringSubmatch(m)
		if port, _, ok := strings.Cut(sub[2], "/"); ok && isDigits(port) {
			return m // host:port, with an @ in the path
		}
		return sub[1] + "xxxxx@"
	})
}

// redactTarget is redact for one URL, also one that is not as it should be: its
// password may hold blanks.
func redactTarget(s string) string {
	start, end := strings.Index(s, "://"), strings.LastIndex(s, "@")
	if start < 0 || end < start {
		return s
	}
	return s[:start] + "://xxxxx" + s[end:]
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// shorten cuts s to at most n bytes and says so.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// DidYouMean asks which of the names a misspelt one was meant to be, as the end
// of a message; "" where none is near.
func DidYouMean(name string, names []string) string {
	if len(name) > 40 {
		return ""
	}
	best, least := "", 1+len(name)/3
	for _, n := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(n)); d <= least {
			best, least = n, d-1
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(", did you mean %q?", best)
}

// distance is the number of single letters to add, drop or change.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
