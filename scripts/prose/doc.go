// Command prose holds the rules that can be counted against the project's pages
// and package comments. Run it before you commit a page:
//
//	go run ./scripts/prose [FILE...]
//
// Without FILE it reads every page (.md) and Go file below the current folder. It
// prints one line for each finding, as FILE:LINE: RULE: EXCERPT, then a hint for
// each rule. It exits with 1 if there are findings, and with 2 if it cannot read a
// file. The test of this package reads the whole tree, so `go test ./...` fails on
// a finding.
//
// # Rules
//
//   - sentence: a sentence has at most 30 words.
//   - paragraph: a paragraph, or one of a list item, has at most 5 sentences.
//   - relative: a sentence has at most 1 relative clause.
//   - cell: a table cell has at most 25 words.
//   - subject: no sentence begins with "what", "who" or "that which", unless it is a
//     question. Text with no full stop, and a cell that begins with a small letter, is
//     not a sentence.
//   - pair: no sentence has "the one" and then "the other".
//   - opening: a page begins with a heading, and a paragraph comes before any list
//     or table.
//
// # Counting
//
// A code span, a URL, a quotation and a link to a name in Go count as one word each.
// A word has at least one letter or digit: dashes and arrows do not count. Headings,
// code blocks, HTML comments and images are not read. Tables made from the code are
// read: mend their texts in the code. Abbreviations such as e.g. and vs., version
// numbers, file names and ellipses do not end a sentence.
//
// A relative clause begins with "which", "who", "whom", "whose", "that" or "where".
// The linter counts one only if the words around it leave no doubt, and misses others.
// It reads package comments as godoc does, also those of test files.
package main
