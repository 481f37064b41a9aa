package quick

// What package strings has too, which comes behind others in the order of
// initialisation.

func hasPrefix(s, prefix string) bool { return len(s) >= len(prefix) && s[:len(prefix)] == prefix }

func hasSuffix(s, suffix string) bool {
	return len(s) >= len(suffix) && s[len(s)-len(suffix):] == suffix
}

// lower is strings.ToLower, for ASCII.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] += 'a' - 'A'
		}
	}
	return string(b)
}

// cut is strings.Cut.
func cut(s string, sep byte) (before, after string, found bool) {
	for i := range len(s) {
		if s[i] == sep {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// split is strings.Split.
func split(s string, sep byte) (parts []string) {
	for {
		part, rest, more := cut(s, sep)
		parts = append(parts, part)
		if !more {
			return parts
		}
		s = rest
	}
}

// shown tells whether a terminal shows a text as it is. It is only sure of ASCII.
func shown(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
