package handler

import "strings"

// SplitHandler takes the value of serf's -event-handler apart: "FILTER=WHAT", or WHAT
// alone. Serf splits at the first "=". SplitHandler does the same, unless the whole is
// a URL such as "http://host/?a=b": no filter begins like one.
func SplitHandler(s string) (filter, what string) {
	if IsTarget(s) {
		return "", s
	}
	if f, w, ok := strings.Cut(s, "="); ok {
		return f, w
	}
	return "", s
}

// IsTarget tells whether an event handler is a URL to post to (http://, https:// or
// unix:), and not a command to run.
func IsTarget(what string) bool {
	for _, prefix := range []string{"http://", "https://", "unix:"} {
		if len(what) >= len(prefix) && strings.EqualFold(what[:len(prefix)], prefix) {
			return true
		}
	}
	return false
}

// MaxTargetName is the length of the longest name that a target can have, in bytes.
const MaxTargetName = 1024
