// Package pages reads the Markdown pages of a source tree, so that tests can hold
// them against the code.
//
// [All] finds every page by walking the tree, so nobody has to list a new page.
// [Parse] reads a single one. A [Page] has what the tests check:
//
//   - Blocks: the fenced blocks. A comment in the line before a block,
//     "<!-- not run here: REASON -->", says why no test runs its commands.
//   - Links: the links of the text, with their paths from the root of the tree.
//   - Code: the texts between backquotes, some of which name files.
//   - Anchors: the headings, as links name them.
//   - Tables: the tables that are made from the code. Each stands between a line
//     "<!-- table of NAME: made from the code, ... -->" and a line
//     "<!-- end of the table -->". [Page.WithTables] replaces them.
//
// The package knows the Markdown that the pages use, and no more: fences of three
// backquotes, links of the form [text](path), and headings that begin with "#".
// Blocks have no links, no headings and no code.
package pages
