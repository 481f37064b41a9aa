package durable

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"agentctl/handler/text"
)

// namedNodes is how many nodes an error names of each sort.
const namedNodes = 10

// TooFewError says that fewer nodes than were asked for keep a journal on a disk.
// Nothing was published.
type TooFewError struct {
	Wanted int
	Able   []string          // the nodes that do
	Why    map[string]string // of each other node, why it does not
}

func (e *TooFewError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "durable=%d cannot be reached, so nothing was published: ", e.Wanted)
	switch len(e.Able) {
	case 0:
		b.WriteString("no node keeps its journal on a disk")
	case 1:
		fmt.Fprintf(&b, "1 node keeps its journal on a disk (%s)", named(e.Able))
	default:
		fmt.Fprintf(&b, "%d nodes keep their journals on disks (%s)", len(e.Able), named(e.Able))
	}
	others := slices.Sorted(maps.Keys(e.Why))
	for i, name := range others {
		if i == namedNodes {
			fmt.Fprintf(&b, "; and %d more", len(others)-i)
			break
		}
		fmt.Fprintf(&b, "; %s: %s", text.Excerpt(name, text.ExcerptSize), text.Excerpt(e.Why[name], text.ExcerptSize))
	}
	b.WriteString("; ask for fewer, or run more agents with -data-dir")
	return b.String()
}

func named(names []string) string {
	shown := make([]string, 0, namedNodes+1)
	for _, name := range names[:min(len(names), namedNodes)] {
		shown = append(shown, text.Excerpt(name, text.ExcerptSize))
	}
	if more := len(names) - namedNodes; more > 0 {
		shown = append(shown, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(shown, ", ")
}
