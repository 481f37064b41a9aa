package agent

import (
	"fmt"
	"net/url"
	"strings"
)

// Version is agentctl's own version; a build may set it with -ldflags -X.
var Version = "0.1.0-dev"

// redact hides the password of a URL inside s, where there is one.
func redact(s string) string {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return s
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	user, host, ok := strings.Cut(rest[:end], "@")
	if !ok {
		return s
	}
	name, _, hasPassword := strings.Cut(user, ":")
	if hasPassword {
		user = name + ":" + url.QueryEscape("xxxxx")
	}
	return scheme + "://" + user + "@" + host + rest[end:]
}

// shorten cuts s to at most n bytes and says so.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}

// nearestKey suggests the key that a misspelt one was meant to be.
func nearestKey(key string) string {
	best, least := "", 1+len(key)/3
	for _, s := range settings {
		if d := distance(strings.ToLower(key), strings.ToLower(s.Key)); s.Key != "" && d <= least {
			best, least = s.Key, d-1
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
