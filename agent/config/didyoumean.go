package config

import (
	"fmt"
	"strings"
)

// DidYouMean asks which of the names a misspelt one was meant to be, as the end
// of a message; "" where none is near.
func DidYouMean(name string, names []string) string {
	best := nearest(name, names)
	if best == "" {
		return ""
	}
	return fmt.Sprintf(", did you mean %q?", best)
}

// nearest is the name that a misspelt one is most like; "" where none is near.
func nearest(name string, names []string) (best string) {
	if len(name) > 40 {
		return ""
	}
	least := 1 + len(name)/3
	for _, n := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(n)); d <= least {
			best, least = n, d-1
		}
	}
	return best
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
