package pages

import (
	"fmt"
	"regexp"
)

// Table is a part of a page that is made from the code.
type Table struct {
	Name string
	Text string // every line of it, the head included
}

var generated = regexp.MustCompile(`(?s)<!-- table of (\w+): made from the code, [^\n]*-->\n(.*?)<!-- end of the table -->`)

// Tables returns the tables of a page that are made from the code.
func (p Page) Tables() (all []Table) {
	for _, m := range generated.FindAllStringSubmatch(p.Text, -1) {
		all = append(all, Table{Name: m[1], Text: m[2]})
	}
	return all
}

// WithTables returns the text of a page with other texts of its tables, by name. A
// table that texts lacks stays as it is. The hint says how to make the tables anew,
// and stands in the line before each.
func (p Page) WithTables(texts map[string]string, hint string) string {
	return generated.ReplaceAllStringFunc(p.Text, func(part string) string {
		name := generated.FindStringSubmatch(part)[1]
		text, ok := texts[name]
		if !ok {
			return part
		}
		return fmt.Sprintf("<!-- table of %s: made from the code, change it there; %s -->\n%s<!-- end of the table -->", name, hint, text)
	})
}
