package template

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// garbled stands for a text that encoding/json could not read as it was meant. It writes
// U+FFFD in place of bytes that are not UTF-8, and of half a surrogate pair. The result
// is another text, such as the key of another object, and so it must not be sent.
type garbled struct{}

// garbledProblem says what is wrong with a value, behind its label.
const garbledProblem = "%s is not UTF-8, or has half of a surrogate pair: the target would get another text"

// wellFormed tells whether encoding/json reads the texts of a valid JSON value as they
// are meant.
func wellFormed(body []byte) bool {
	if !utf8.Valid(body) {
		return false
	}
	// In valid JSON a backslash always begins an escape.
	for {
		i := bytes.IndexByte(body, '\\')
		if i < 0 {
			return true
		}
		body = body[i:]
		r, escaped := unitOf(body)
		switch {
		case !escaped:
			body = body[2:]
			continue
		case utf16.IsSurrogate(r):
			low, _ := unitOf(body[6:])
			if utf16.DecodeRune(r, low) == utf8.RuneError {
				return false
			}
			body = body[6:]
		}
		body = body[6:]
	}
}

// unitOf reads the escape \uXXXX that a text begins with.
func unitOf(s []byte) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(s[2:6]), 16, 16)
	return rune(n), err == nil
}

// markGarbled returns a decoded value with a garbled in place of each text that holds
// U+FFFD, and of each object with such a key.
func markGarbled(v any) any {
	switch v := v.(type) {
	case string:
		if strings.ContainsRune(v, utf8.RuneError) {
			return garbled{}
		}
	case []any:
		for i := range v {
			v[i] = markGarbled(v[i])
		}
	case map[string]any:
		for k := range v {
			if strings.ContainsRune(k, utf8.RuneError) {
				return garbled{}
			}
			v[k] = markGarbled(v[k])
		}
	}
	return v
}

// isGarbled tells whether JSON of a value would hold another text than was meant.
func isGarbled(v any) bool {
	switch v := v.(type) {
	case garbled:
		return true
	case string:
		return !utf8.ValidString(v)
	case []any:
		for _, e := range v {
			if isGarbled(e) {
				return true
			}
		}
	case map[string]any:
		for _, e := range v {
			if isGarbled(e) {
				return true
			}
		}
	}
	return false
}
