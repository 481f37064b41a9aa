package config

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxJSONDepth bounds how deep objects and lists may be in each other, as
// encoding/json does.
const maxJSONDepth = 10000

// mistake is the first place at which a text is not JSON, as a byte offset, and what
// is wrong there in the words of somebody who writes the file.
type mistake struct {
	at   int
	what string
}

// findMistake looks for what makes data no JSON, nil if it is. encoding/json tells
// which byte it did not expect, which for the usual mistakes is another place than
// that of the mistake. No text of it repeats a value, which may be a secret.
func findMistake(data []byte) *mistake {
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return &mistake{0, "the file begins with a byte order mark: save it as UTF-8 without one"}
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		return &mistake{0, "the file is UTF-16: save it as UTF-8"}
	}
	s := &jsonScan{data: data}
	if s.skip(); s.at == len(data) {
		return &mistake{s.at, "the file is empty: want a JSON object, {} at least"}
	}
	if m := s.value(0); m != nil {
		return m
	}
	if s.skip(); s.at < len(data) {
		return s.unexpected("something follows the end of the JSON: a file has one object")
	}
	return nil
}

// jsonScan walks through a text that ought to be JSON.
type jsonScan struct {
	data []byte
	at   int
}

func (s *jsonScan) skip() { s.at = len(s.data) - len(bytes.TrimLeft(s.data[s.at:], " \t\r\n")) }

// peek is the next byte, 0 at the end.
func (s *jsonScan) peek() byte {
	if s.at < len(s.data) {
		return s.data[s.at]
	}
	return 0
}

// unexpected says what is wrong where something else has to stand: what comes is a
// mistake of its own, or there is nothing, or it is as told.
func (s *jsonScan) unexpected(what string) *mistake {
	switch rest := string(s.data[s.at:min(s.at+2, len(s.data))]); {
	case rest == "":
		return &mistake{s.at, "the file ends too early"}
	case strings.HasPrefix(rest, "#"), rest == "//", rest == "/*":
		return &mistake{s.at, `JSON has no comments: remove it, or make it a key that begins with //, as in "// why": "..."`}
	case rest[0] == '\'':
		return &mistake{s.at, "a single quote: JSON takes double quotes only"}
	}
	return &mistake{s.at, what}
}

func (s *jsonScan) value(depth int) *mistake {
	switch c := s.peek(); {
	case depth > maxJSONDepth:
		return &mistake{s.at, "there are too many brackets in each other"}
	case c == '{':
		return s.sequence('}', "brace", depth, s.entry)
	case c == '[':
		return s.sequence(']', "bracket", depth, s.value)
	case c == '"':
		return s.text()
	case c == '-' || c == '+' || c == '.' || c >= '0' && c <= '9':
		return s.number()
	case c == ',':
		return &mistake{s.at, "a value is missing before this comma"}
	case c == '}' || c == ']':
		return &mistake{s.at, "a value is missing here"}
	}
	return s.literal()
}

// sequence reads the entries of an object or a list.
func (s *jsonScan) sequence(end byte, name string, depth int, read func(depth int) *mistake) *mistake {
	begin, comma := s.at, -1
	for s.at++; ; {
		s.skip()
		switch c := s.peek(); {
		case c == end && comma < 0:
			s.at++
			return nil
		case c == end:
			return &mistake{comma, fmt.Sprintf("a comma before the closing %s: remove it", name)}
		case s.at == len(s.data):
			line, _ := lineAndColumn(s.data, begin)
			return &mistake{s.at, fmt.Sprintf("the file ends too early: the %s of line %d is not closed", name, line)}
		}
		if m := read(depth + 1); m != nil {
			return m
		}
		s.skip()
		switch c := s.peek(); {
		case c == ',':
			comma = s.at
			s.at++
		case c == end:
			comma = -1
		case c == '}' || c == ']':
			return &mistake{s.at, fmt.Sprintf("%q closes what another sign opened: want %q", c, end)}
		case s.at < len(s.data):
			return s.unexpected("a comma is missing before this")
		}
	}
}

// entry reads a key and its value.
func (s *jsonScan) entry(depth int) *mistake {
	switch c := s.peek(); {
	case c == ',':
		return &mistake{s.at, "a comma too many: there is nothing before it"}
	case c != '"':
		return s.unexpected("a key has to begin here, in double quotes")
	}
	if m := s.text(); m != nil {
		return m
	}
	if s.skip(); s.peek() != ':' {
		return s.unexpected("a colon is missing after the key")
	}
	s.at++
	s.skip()
	return s.value(depth)
}

func (s *jsonScan) text() *mistake {
	for begin := s.at; ; {
		s.at++
		switch c := s.peek(); {
		case s.at == len(s.data):
			return &mistake{begin, "the text that begins here has no closing double quote: the file ends too early"}
		case c == '"':
			s.at++
			return nil
		case c == '\n' || c == '\r':
			return &mistake{begin, `the text that begins here has no closing double quote on its line; a line's end in a text is \n`}
		case c < ' ':
			return &mistake{s.at, fmt.Sprintf(`a control character in a text: write it as \u%04x`, c)}
		case c == '\\':
			if m := s.escape(); m != nil {
				return m
			}
		}
	}
}

// escape reads what follows a backslash, and stops at its last byte.
func (s *jsonScan) escape() *mistake {
	begin := s.at
	s.at++
	c := s.peek()
	if c == 'u' {
		for range 4 {
			s.at++
			if !bytes.ContainsRune([]byte("0123456789abcdefABCDEF"), rune(s.peek())) {
				return &mistake{begin, `\u wants four digits of 0 to 9 and a to f behind it`}
			}
		}
		return nil
	}
	if c == 0 || !strings.ContainsRune(`"\/bfnrt`, rune(c)) {
		return &mistake{begin, `a backslash that JSON does not know: write \\ for the sign itself`}
	}
	return nil
}

// word is what stands up to the next sign that ends a value.
func (s *jsonScan) word() string {
	rest := string(s.data[s.at:])
	if end := strings.IndexAny(rest, " \t\r\n,:{}[]\""); end >= 0 {
		rest = rest[:end]
	}
	return rest
}

func (s *jsonScan) number() *mistake {
	word := s.word()
	rest := strings.TrimPrefix(word, "-")
	whole := strings.TrimLeft(rest, "0123456789")
	digits := rest[:len(rest)-len(whole)]
	ok := digits == "0" || digits != "" && digits[0] != '0'
	if fraction, has := strings.CutPrefix(whole, "."); ok && has {
		whole = strings.TrimLeft(fraction, "0123456789")
		ok = len(whole) < len(fraction)
	}
	if ok && whole != "" && (whole[0] == 'e' || whole[0] == 'E') {
		exponent := strings.TrimLeft(strings.TrimLeft(whole[1:], "+-"), "0123456789")
		ok, whole = len(exponent) < len(whole)-1 && exponent == "", exponent
	}
	if !ok || whole != "" {
		return &mistake{s.at, "no number that JSON has: leave out a leading zero, + or point; a text, such as 30s or an address, needs double quotes"}
	}
	s.at += len(word)
	return nil
}

func (s *jsonScan) literal() *mistake {
	switch word := s.word(); strings.ToLower(word) {
	case "true", "false", "null":
		if word != strings.ToLower(word) {
			return &mistake{s.at, "write true, false and null in small letters"}
		}
		s.at += len(word)
		return nil
	case "none", "nil":
		return &mistake{s.at, "write null for nothing"}
	}
	return s.unexpected("this is no value: a text needs double quotes")
}

// lineAndColumn are those of an offset, both from 1. A column is a character.
func lineAndColumn(data []byte, offset int) (line, column int) {
	before := data[:min(offset, len(data))]
	line = 1 + bytes.Count(before, []byte("\n"))
	return line, 1 + utf8.RuneCount(before[1+bytes.LastIndexByte(before, '\n'):])
}

// kind names the kind of a JSON value by its first byte.
func kind(value []byte) string {
	switch c := bytes.TrimLeftFunc(value, unicode.IsSpace); {
	case len(c) == 0:
		return "nothing"
	case c[0] == '{':
		return "an object"
	case c[0] == '[':
		return "a list"
	case c[0] == '"':
		return "a text"
	case c[0] == 't' || c[0] == 'f':
		return "true or false"
	case c[0] == 'n':
		return "null"
	}
	return "a number"
}
