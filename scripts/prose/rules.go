package main

import (
	"fmt"
	"strings"
)

// The limits of the rules.
const (
	maxSentence  = 30 // words
	maxParagraph = 5  // sentences
	maxRelatives = 1  // in a sentence
	maxCell      = 25 // words
)

// hints says for each rule what to do about a finding.
var hints = map[string]string{
	"sentence":  "split it: one thought for each sentence, 12 to 20 words",
	"paragraph": "split it at a new thought, or make a list of it",
	"relative":  "make a sentence of its own of one of the clauses",
	"cell":      "put a phrase into the cell, and the rest below the table",
	"subject":   `name the thing: not "what waits" but "an undelivered event"`,
	"pair":      "name both things, or say first and second",
	"opening":   "begin the page with a heading and a paragraph on what the reader can do after reading",
}

// finding is a place that breaks a rule.
type finding struct {
	file string
	line int
	rule string
	text string
}

func (f finding) String() string { return fmt.Sprintf("%s:%d: %s: %s", f.file, f.line, f.rule, f.text) }

// lint holds the rules against a block of a file.
func lint(file string, b block) (found []finding) {
	words := unquoted(b.words)
	if len(words) == 0 {
		return nil
	}
	report := func(rule string, at []word, format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		if text != "" {
			text += ": "
		}
		found = append(found, finding{file, at[0].line, rule, text + excerpt(at)})
	}
	if n := count(words); b.kind == cell && n > maxCell {
		report("cell", words, "%d words, more than %d", n, maxCell)
	}
	parts := sentences(words)
	if n := len(parts); n > maxParagraph {
		report("paragraph", words, "%d sentences, more than %d", n, maxParagraph)
	}
	for _, s := range parts {
		if n := count(s); n > maxSentence {
			report("sentence", s, "%d words, more than %d", n, maxSentence)
		}
		if r := relatives(s); len(r) > maxRelatives {
			report("relative", s, "%d relative clauses (%s), more than %d", len(r), strings.Join(r, ", "), maxRelatives)
		}
		if badSubject(s, b.kind) {
			report("subject", s, "")
		}
		if pair(s) {
			report("pair", s, "")
		}
	}
	return found
}

// badSubject tells whether a sentence has "what" or the like as its subject. A question
// may have it. Text without a full stop is a title, and a cell with a small letter a phrase.
func badSubject(s []word, k kind) bool {
	last := strings.TrimRight(s[len(s)-1].plain, `)]"'*_`)
	if last == "" || !strings.ContainsAny(last[len(last)-1:], ".!:;") {
		return false
	}
	if k == cell && strings.ToLower(s[0].plain) == s[0].plain {
		return false
	}
	first := s[0].key()
	return first == "what" || first == "who" || first == "that" && len(s) > 1 && s[1].key() == "which"
}

// pair tells whether a sentence has "the one" and then "the other".
func pair(s []word) bool {
	one := false
	for i := 0; i+1 < len(s); i++ {
		if s[i].key() != "the" {
			continue
		}
		switch s[i+1].key() {
		case "one":
			one = true
		case "other":
			if one {
				return true
			}
		}
	}
	return false
}
