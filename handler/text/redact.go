package text

import (
	"strings"
)

// withPassword is a URL's scheme, user, and all up to the last @ of the word:
// a password that is not escaped as it should be may hold any sign.
var withPassword = LazyRegexp(`(://[^\s:/?#@]*:)(\S*)@`)

// Redact hides the passwords of the URLs in s, a command or a handler.
func Redact(s string) string {
	return withPassword().ReplaceAllStringFunc(s, func(m string) string {
		sub := withPassword().FindStringSubmatch(m)
		if port, _, ok := strings.Cut(sub[2], "/"); ok && isDigits(port) {
			return m // host:port, with an @ in the path
		}
		return sub[1] + "xxxxx@"
	})
}

// RedactTarget is redact for one URL, also one that is not as it should be: its
// password may hold blanks.
func RedactTarget(s string) string {
	start, end := strings.Index(s, "://"), strings.LastIndex(s, "@")
	if start < 0 || end < start {
		return s
	}
	return s[:start] + "://xxxxx" + s[end:]
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// Shorten cuts s to at most n bytes and says so.
func Shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
