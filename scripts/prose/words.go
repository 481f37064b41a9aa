package main

import (
	"strings"
	"unicode"
)

// block is a piece of running text: a paragraph, a list item's text or a table cell.
type block struct {
	kind  kind
	words []word
}

type kind int

const (
	paragraph kind = iota
	cell
)

// word is what stands between two spaces. A code span is one word or a part of one.
type word struct {
	text  string // as the reader sees it
	plain string // the same with a mark for each code span, quotation and link to code
	line  int
}

// mark stands for text that is not prose.
const mark = "\uFFFC"

// writer collects the words of a block.
type writer struct {
	words []word
	open  bool // the last word may go on
}

func (w *writer) plain(text string, line int) {
	for _, r := range text {
		if unicode.IsSpace(r) {
			w.open = false
			if r == '\n' {
				line++
			}
			continue
		}
		plain := string(r)
		if r == '“' || r == '”' {
			plain = `"`
		}
		w.add(string(r), plain, line)
	}
}

func (w *writer) code(text string, line int) {
	w.add(strings.Join(strings.Fields(text), " "), mark, line)
}

func (w *writer) add(text, plain string, line int) {
	if !w.open {
		w.words = append(w.words, word{line: line})
		w.open = true
	}
	last := &w.words[len(w.words)-1]
	last.text += text
	last.plain += plain
}

// unquoted makes one word of each quotation.
func unquoted(words []word) (out []word) {
	quotes := 0
	for _, w := range words {
		quotes += strings.Count(w.plain, `"`)
	}
	if quotes%2 != 0 {
		return words // nobody knows where a quotation begins
	}
	inside := false
	for _, w := range words {
		joined := inside
		var plain strings.Builder
		parts := strings.Split(w.plain, `"`)
		for i, part := range parts {
			if i > 0 {
				if inside = !inside; inside {
					plain.WriteString(mark)
				}
			}
			switch end := strings.TrimRight(part, ".!?"); {
			case !inside:
				plain.WriteString(part)
			case i+1 < len(parts) && end != part: // the full stop of the quotation
				plain.WriteString(part[len(end):] + `"`)
			}
		}
		if !joined {
			out = append(out, word{w.text, plain.String(), w.line})
			continue
		}
		last := &out[len(out)-1]
		last.text += " " + w.text
		last.plain += plain.String()
	}
	return out
}

// key is the word in small letters, without the punctuation around it.
func (w word) key() string {
	return strings.ToLower(strings.TrimFunc(w.plain, func(r rune) bool {
		return r != '\uFFFC' && !unicode.IsLetter(r) && !unicode.IsNumber(r)
	}))
}

// punctuated tells whether a comma or the like follows the word.
func (w word) punctuated() bool { return strings.ContainsAny(w.plain[len(w.plain)-1:], ".,;:!?)") }

// count is how many words there are: a dash or an arrow is none.
func count(words []word) (n int) {
	for _, w := range words {
		if w.key() != "" {
			n++
		}
	}
	return n
}

// excerpt is the beginning of a text, for a finding.
func excerpt(words []word) string {
	var parts []string
	for i, w := range words {
		if i == 12 {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, w.text)
	}
	return strings.Join(parts, " ")
}

// sentences cuts a text after each full stop, question mark and exclamation mark that
// ends a sentence.
func sentences(words []word) (out [][]word) {
	begin := 0
	for i := range words {
		if i+1 == len(words) || ends(words[i], words[i+1]) {
			out = append(out, words[begin:i+1])
			begin = i + 1
		}
	}
	return out
}

// No sentence ends with one of the abbreviations in never. One in seldom, as etc., ends
// a sentence if the next word does not begin with a small letter.
var never, seldom = set("e.g i.e vs cf ca approx resp incl fig dr mr mrs viz"), set("etc al min max sec hrs inc ltd")

func ends(w, next word) bool {
	bare := strings.TrimRight(w.plain, `)]"'’*_`)
	if bare == "" || !strings.ContainsAny(bare[len(bare)-1:], ".!?") || strings.HasSuffix(bare, "...") {
		return false
	}
	first := []rune(strings.TrimLeft(next.plain, `([*_'‘`))
	small := len(first) > 0 && unicode.IsLower(first[0])
	key := w.key()
	switch {
	case never[key] && strings.HasSuffix(bare, "."):
		return false
	case seldom[key], bare != w.plain, !strings.HasSuffix(bare, "."):
		return !small
	}
	return len([]rune(key)) != 1 || !unicode.IsUpper([]rune(strings.TrimLeft(w.plain, "("))[0]) // not an initial
}

func set(list string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(list) {
		m[w] = true
	}
	return m
}
