package main

import (
	"slices"
	"strings"
	"testing"
)

// TestTree lints every page and every package comment of the project.
func TestTree(t *testing.T) {
	files, err := tree("../..")
	if err != nil {
		t.Fatal(err)
	}
	var found []finding
	pages := 0
	for _, file := range files {
		f, err := lintFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, f...)
		if strings.HasSuffix(file, ".md") {
			pages++
		}
	}
	if pages == 0 || pages == len(files) {
		t.Fatalf("%d of %d files are pages: something was not read", pages, len(files))
	}
	if len(found) > 0 {
		t.Errorf("mend these texts; go run ./scripts/prose lists them too:\n%s", report(found))
	}
}

// broken gives the rules that a page breaks, each as often as it does.
func broken(source string) (rules []string) {
	for _, f := range page("page.md", []byte(source)) {
		rules = append(rules, f.rule)
	}
	return rules
}

// body is a page that has a paragraph.
func body(paragraph string) string { return "# Page\n\n" + paragraph + "\n" }

func words(n int) string { return strings.TrimSpace(strings.Repeat("word ", n)) }

func TestRules(t *testing.T) {
	row := func(text string) string { return "Table.\n\n| a | b |\n| --- | --- |\n| x | " + text + " |" }
	for _, test := range []struct {
		name, text string
		want       string // rules
	}{
		{"30 words", words(30) + ".", ""},
		{"31 words", words(31) + ".", "sentence"},
		{"31 words and no full stop", words(31), "sentence"},
		{"the second sentence is long", "Short. " + words(31) + ".", "sentence"},
		{"two sentences", words(20) + ". " + words(20) + ".", ""},
		{"a small letter begins the second", words(20) + ". serf " + words(20) + ".", ""},
		{"code is one word", words(29) + " `a b c d e f`.", ""},
		{"code and what it is joined to", words(29) + " `a b`-based.", ""},
		{"code that ends with a full stop", words(20) + " `a.` " + words(20), "sentence"},
		{"a full stop after code", words(20) + " `a`. " + words(20), ""},
		{"a URL is one word", words(29) + " https://example.org/a/b.c.d?e=f.", ""},
		{"a link has its text's words", words(29) + " [one two](page.md).", "sentence"},
		{"a number is one word", words(29) + " 100,000.5.", ""},
		{"a dash is none", words(15) + " – " + words(15) + ".", ""},
		{"a quotation is one word", words(29) + ` "no such target. Is it there? We think so".`, ""},
		{"one quotation mark quotes nothing", words(29) + ` 5" wide.`, "sentence"},
		{"a sentence ends with a quotation", words(25) + ` "it is so." ` + "Then " + words(25) + ".", ""},
		{"a list item", "List:\n\n- " + words(31) + ".", "sentence"},
		{"two list items", "List:\n\n- " + words(20) + "\n- " + words(20), ""},
		{"a nested item", "List:\n\n- item\n  - " + words(31), "sentence"},
		{"a quoted paragraph", "Quote:\n\n> " + words(31), "sentence"},
		{"emphasis", "**" + words(16) + "** *" + words(16) + "*", "sentence"},
		{"a heading", "Text.\n\n## " + words(40), ""},
		{"a code block", "Text.\n\n```\n" + words(40) + "\n```", ""},
		{"an indented code block", "Text.\n\n    " + words(40), ""},
		{"a comment", "Text.\n\n<!-- " + words(40) + " -->", ""},
		{"a comment in the text", "Text <!-- " + words(40) + " --> text.", ""},

		{"abbreviations", words(18) + " e.g. Kong, i.e. Kong, vs. Kong etc. and " + words(9) + ".", "sentence"},
		{"etc. at the end", words(18) + " etc. Then " + words(18) + ".", ""},
		{"versions and files", words(14) + " v0.11.0 of go.mod and .gitignore " + words(14) + ".", "sentence"},
		{"an ellipsis", words(16) + " … " + words(16) + " ... " + words(3), "sentence"},
		{"an initial", words(18) + " J. Smith " + words(18) + ".", "sentence"},
		{"a question in brackets", words(18) + " (why?) and " + words(18) + ".", "sentence"},

		{"5 sentences", strings.Repeat("It is so. ", 5), ""},
		{"6 sentences", strings.Repeat("It is so. ", 6), "paragraph"},
		{"6 sentences in an item", "List:\n\n- " + strings.Repeat("It is so. ", 6), "paragraph"},
		{"2 paragraphs", strings.Repeat("It is so. ", 5) + "\n\n" + strings.Repeat("It is so. ", 5), ""},

		{"25 words in a cell", row(words(25)), ""},
		{"26 words in a cell", row(words(26)), "cell"},
		{"a table made from the code", "Table.\n\n<!-- table of things -->\n| a |\n| --- |\n| " + words(26) +
			" |\n<!-- end of the table -->", "cell"},
		{"a bar in code in a cell", row(words(24) + " `a \\| b \\| c`"), ""},

		{"what", "What waits is sent.", "subject"},
		{"what in the second sentence", "It is so. What waits is sent.", "subject"},
		{"who", "Who publishes waits.", "subject"},
		{"that which", "That which waits is sent.", "subject"},
		{"that", "That is so.", ""},
		{"a question", "What waits?", ""},
		{"an item without a full stop", "List:\n\n- [What an event is](page.md)", ""},
		{"a phrase in a cell", row("what became of it. A list"), ""},
		{"a sentence in a cell", row("What waits is sent."), "subject"},

		{"the one and the other", "The one waits and the other is sent.", "pair"},
		{"the one alone", "The one that waits is sent.", ""},
		{"the other alone", "The other is the one.", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := strings.Join(broken(body(test.text)), " "); got != test.want {
				t.Errorf("the text breaks the rules %q, and should break %q:\n%s", got, test.want, test.text)
			}
		})
	}
}

func TestRelativeClauses(t *testing.T) {
	for text, want := range map[string]string{
		"It sends the event, which waits.":                        "event, which",
		"The queue in which it waits is full.":                    "in which",
		"The agent (which waits) is here.":                        "agent (which",
		"A member who left is back.":                              "member who",
		"A cursor whose filter picks it has it.":                  "cursor whose",
		"An event that waits is sent.":                            "event that",
		"It forgets all that it holds.":                           "all that",
		"Events that are old are dropped.":                        "Events that",
		"Members that left are forgotten.":                        "Members that",
		"It sends copies of events that others lack.":             "events that",
		"It keeps two things: keys that fit.":                     "keys that",
		"It waits for 3 members that joined.":                     "members that",
		"A `-join` that fails ends it.":                           "`-join` that",
		"It finds an answer that is too long.":                    "answer that",
		"It is the folder where the journal is.":                  "folder where",
		"The event that it sends, which is old, is one that fits": "event that|sends, which|one that",

		"It tells which member left.":                         "",
		"It tells the operator which member left.":            "",
		"It tells who left, who joined, and which are alive.": "",
		"That depends on which came first.":                   "",
		"It said in the last round whom it sees.":             "",
		"It counts links by who opened them.":                 "",
		"Which of them it is matters.":                        "",
		"It says that the event waits.":                       "",
		"The agent shows the reader that it waits.":           "",
		"This means that it waits.":                           "",
		"They answer that it waits.":                          "",
		"The fact that it waits is known.":                    "",
		"It waits so long that it is dropped.":                "",
		"It is so that it can wait.":                          "",
		"After that it waits.":                                "",
		"Retry that event.":                                   "",
		"It waits, retries that event and ends.":              "",
		"The agent retries that event.":                       "",
		"It waits, and that is all.":                          "",
		"For what was emptied that is idle work.":             "",
		"It waits where nobody answers.":                      "",
		"It is said by \"one that waits\" or \"all that is\"": "",
	} {
		w := writer{}
		for i, part := range strings.Split(text, "`") {
			if i%2 == 0 {
				w.plain(part, 1)
			} else {
				w.code("`"+part+"`", 1)
			}
		}
		if got := strings.Join(relatives(unquoted(w.words)), "|"); got != want {
			t.Errorf("relative clauses of %q: %q, not %q", text, got, want)
		}
	}
	one, two := "An event that waits is sent.", "An event that waits, which is old, is sent."
	if got := broken(body(one)); len(got) > 0 {
		t.Errorf("one relative clause breaks %q", got)
	}
	if got := broken(body(two)); !slices.Equal(got, []string{"relative"}) {
		t.Errorf("two relative clauses break %q", got)
	}
}

func TestOpening(t *testing.T) {
	for source, want := range map[string]int{
		"# Page\n\nText.\n\n- list\n":              0,
		"<!-- comment -->\n\n# Page\n\nText.\n":    0,
		"# Page\n\n```\ncommand\n```\n\nText.\n":   0,
		"Text.\n\n# Page\n":                        1,
		"# Page\n\n- list\n\nText.\n":              1,
		"# Page\n\n| a |\n| --- |\n| b |\n\nText.": 1,
		"# Page\n": 1,
		"":         1,
	} {
		if got := broken(source); len(got) != want || want == 1 && got[0] != "opening" {
			t.Errorf("page %q breaks %q", source, got)
		}
	}
}

func TestFindingsHavePlaces(t *testing.T) {
	source := "# Page\n\nShort. " + words(10) + "\n" + words(5) + ". What is `so`\nis so.\n\n| a |\n| --- |\n| " + words(26) + " |\n"
	var got []string
	for _, f := range page("page.md", []byte(source)) {
		got = append(got, f.String())
	}
	want := []string{
		"page.md:4: subject: What is so is so.",
		"page.md:9: cell: 26 words, more than 25: " + words(12) + " …",
	}
	if !slices.Equal(got, want) {
		t.Errorf("findings:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestPackageComment(t *testing.T) {
	source := `// Not this: ` + words(40) + `

// Package x is so. It has [Event.Body]. What it is
// is so.
//
//	what it is ` + words(40) + `
//
// # What it is ` + words(30) + `
//
//   - What it is, is so.
//   - This is so.
//     What it is, is so.
//
// The end. What it is, is so.
package x

// X is not read. What it is, is so.
type X int
`
	found, err := packageComment("x.go", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	var lines []int
	for _, f := range found {
		lines = append(lines, f.line)
		if f.rule != "subject" {
			t.Errorf("unexpected finding: %v", f)
		}
	}
	if want := []int{3, 10, 12, 14}; !slices.Equal(lines, want) {
		t.Errorf("findings in lines %d, not %d", lines, want)
	}
	if _, err := packageComment("x.go", []byte("no Go")); err == nil {
		t.Error("a file that is not Go was read")
	}
	if found, err := packageComment("x.go", []byte("package x\n")); err != nil || len(found) > 0 {
		t.Errorf("a file without a comment: %v, %v", found, err)
	}
}

func TestReportHasAHintForEachRule(t *testing.T) {
	for _, rule := range []string{"sentence", "paragraph", "relative", "cell", "subject", "pair", "opening"} {
		if hints[rule] == "" {
			t.Errorf("rule %s has no hint", rule)
		}
	}
	got := report([]finding{{"a.md", 1, "pair", "x"}, {"b.md", 2, "cell", "y"}, {"b.md", 3, "pair", "z"}})
	want := "a.md:1: pair: x\nb.md:2: cell: y\nb.md:3: pair: z\n\n" +
		"   1 cell       " + hints["cell"] + "\n   2 pair       " + hints["pair"] + "\n"
	if got != want {
		t.Errorf("report:\n%s\nwant:\n%s", got, want)
	}
}
