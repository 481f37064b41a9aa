package main

import (
	"cmp"
	"slices"
	"strings"

	"agentctl/cmd/agentctl/screen"
)

// topColumn is a column of a table on the screen.
type topColumn struct {
	name string
	// keep is how long the column stays as the screen gets narrower: those with the least go
	// first.
	keep int
	// most is how many columns of the screen it takes, unless there is room; 0: what it needs.
	most int
}

// topCell is what stands in a column of a row. Rows are sorted by the number, the greatest
// first, and then by the text.
type topCell struct {
	text   string
	number float64
}

// layout says which columns of a table fit, and how wide they are. By one of them, or by none
// if it is -1, the table is sorted.
func layout(columns []topColumn, rows [][]topCell, by, width int) (shown, widths []int) {
	full, needs := make([]int, len(columns)), make([]int, len(columns))
	left := width + 2
	for i, c := range columns {
		full[i] = screen.Width(c.name)
		if i == by { // for the mark
			full[i]++
		}
		least := full[i]
		for _, row := range rows {
			full[i] = max(full[i], screen.Width(row[i].text))
		}
		if needs[i] = full[i]; c.most > 0 {
			needs[i] = max(min(full[i], c.most), least)
		}
		shown, left = append(shown, i), left-needs[i]-2
	}
	for left < 0 && len(shown) > 1 {
		least := slices.MinFunc(shown, func(a, b int) int { return cmp.Compare(columns[a].keep, columns[b].keep) })
		shown, left = slices.DeleteFunc(shown, func(i int) bool { return i == least }), left+needs[least]+2
	}
	for _, i := range shown { // what is left goes to those that were cut
		more := max(min(full[i]-needs[i], left), 0)
		left -= more
		widths = append(widths, min(needs[i]+more, width))
	}
	return shown, widths
}

// tableRow is a row of these columns.
func tableRow(row []topCell, shown, widths []int) string {
	var b strings.Builder
	for at, i := range shown {
		text := screen.Clip(row[i].text, widths[at])
		b.WriteString(text)
		if at < len(shown)-1 {
			b.WriteString(strings.Repeat(" ", widths[at]-screen.Width(text)+2))
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// headerRow are the columns' names. By one of them the rows are sorted; by none if it is -1.
func headerRow(columns []topColumn, shown, widths []int, by int, reverse bool) string {
	row := make([]topCell, len(columns))
	for i, c := range columns {
		row[i].text = c.name
		if i == by && reverse {
			row[i].text += "↑"
		} else if i == by {
			row[i].text += "↓"
		}
	}
	return tableRow(row, shown, widths)
}

// wrapped is a text in lines that are no wider, broken at spaces where there are any.
func wrapped(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && screen.Width(line)+1+screen.Width(word) <= width {
			line += " " + word
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		for line = word; width > 0 && screen.Width(line) > width; {
			n, cut := 0, 0
			for i, r := range line {
				if n += screen.Width(string(r)); n > width {
					break
				}
				cut = i + len(string(r))
			}
			if cut == 0 {
				break
			}
			lines, line = append(lines, line[:cut]), line[cut:]
		}
	}
	return append(lines, line)
}
