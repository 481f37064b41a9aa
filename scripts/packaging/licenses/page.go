package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

const intro = `This file has the licences of agentctl, and of all that is compiled into it.

The source of each module in this list is public. To get it in the very form that was
used, run "go mod download -json MODULE@VERSION", or see
https://pkg.go.dev/MODULE@VERSION. Go's source is at https://go.dev/dl/.

Together: %s

`

// expression says the licences of all parts together, as SPDX has it.
func expression(parts []part) string {
	var ids []string
	for _, p := range parts {
		ids = append(ids, p.ids...)
	}
	slices.Sort(ids)
	return strings.Join(slices.Compact(ids), " AND ")
}

// write writes a list of the parts, and the texts. A text that several have is written
// once.
func write(w io.Writer, parts []part) {
	fmt.Fprintf(w, intro, expression(parts))
	list := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	whose := map[string][]string{}
	var texts []string // in order
	for _, p := range parts {
		fmt.Fprintf(list, "%s\t%s\t%s\n", p.name, p.version, strings.Join(p.ids, " AND "))
		for _, file := range slices.Sorted(maps.Keys(p.files)) {
			text := p.files[file]
			if whose[text] == nil {
				texts = append(texts, text)
			}
			whose[text] = append(whose[text], p.name+": "+file)
		}
	}
	list.Flush()
	for _, text := range texts {
		fmt.Fprintf(w, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 80), strings.Join(whose[text], "\n"), strings.TrimSpace(text))
	}
}
