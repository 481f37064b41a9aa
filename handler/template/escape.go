package template

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"text/template"
	"unicode/utf8"
)

// escapes are the functions that placeholders end with, one for each context. A
// function gets the placeholder's text, for its errors, and its value. It returns
// the escaped value or a *Misfit: a value is sent as it is meant or not at all.
var escapes = template.FuncMap{
	"_segment": escapeSegment, "_path": escapePath, "_query": escapeQuery, "_header": escapeHeader,
	"_quoted": escapeQuoted, "_json": escapeJSON, "_string": escapeString,
}

// scalar returns a value as a text.
func scalar(label string, v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", Misfitf("the event has no %s", label)
	case garbled:
		return "", Misfitf(garbledProblem, label)
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case bool:
		return strconv.FormatBool(v), nil
	case int:
		return strconv.Itoa(v), nil
	case pattern:
		return string(v), nil
	case list:
		return string(v), nil
	case json.RawMessage:
		if !utf8.Valid(v) {
			return "", Misfitf("%s is not UTF-8", label)
		}
		return string(v), nil
	case requestPath:
		return string(v), nil
	}
	return "", Misfitf("%s is a list or an object, and a text, a number or a boolean is needed", label)
}

const hexDigits = "0123456789ABCDEF"

// percent writes every byte that is not plain as %XX.
func percent(s string, plain func(byte) bool) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c := s[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&0xf]})
		}
	}
	return b.String()
}

func isUnreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// inSegment tells whether RFC 3986 lets a byte stand in a segment of a path. The
// semicolon is left out, because some servers look for parameters behind it. The
// colons in Kong's cache keys have to stay.
func inSegment(c byte) bool { return isUnreserved(c) || strings.IndexByte("!$&'()*+,=:@", c) >= 0 }

// escapeSegment makes one segment of a path. An empty segment would make another
// path: that of the whole cache, where one entry was meant.
func escapeSegment(label string, v any) (string, error) {
	s, err := scalar(label, v)
	if err == nil && s == "" {
		err = Misfitf("%s is empty", label)
	}
	return percent(s, inSegment), err
}

// escapePath leaves a whole path with its query as it is: Data.path made it.
func escapePath(_ string, path requestPath) string { return string(path) }

func escapeQuery(label string, v any) (string, error) {
	s, err := scalar(label, v)
	return percent(s, isUnreserved), err
}

// escapeHeader refuses a value that would end the header, or begin another
// element of a list in it.
func escapeHeader(label string, v any) (string, error) {
	s, err := scalar(label, v)
	if err != nil {
		return "", err
	}
	separators := " ,;\""
	switch v.(type) {
	case requestPath, pattern, list:
		separators = "" // the function that made it put in only those that it needs
	}
	return s, refuse(label, s, separators)
}

// refuse makes an error of a value with bytes that cannot stand in a header.
func refuse(label, s, bytes string) error {
	if i := strings.IndexFunc(s, isControl); i >= 0 {
		return Misfitf("%s has a control character, which a header cannot carry", label)
	}
	if i := strings.IndexAny(s, bytes); i >= 0 {
		return Misfitf("%s has a %q, which would end the value there: have it between quotes in the template, or use join for a list", label, s[i])
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError }

var quoted = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

func escapeQuoted(label string, v any) (string, error) {
	s, err := scalar(label, v)
	if err != nil {
		return "", err
	}
	return quoted.Replace(s), refuse(label, s, "")
}

// escapeJSON makes a JSON value.
func escapeJSON(label string, v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", Misfitf("the event has no %s", label)
	case json.RawMessage:
		if !json.Valid(v) {
			return "", Misfitf("%s is not JSON", label)
		}
		return string(v), nil // byte for byte, so nothing of it changes
	}
	if isGarbled(v) {
		return "", Misfitf(garbledProblem, label)
	}
	return toJSON(v), nil
}

func escapeString(label string, v any) (string, error) {
	s, err := scalar(label, v)
	if err != nil {
		return "", err
	}
	if isGarbled(s) {
		return "", Misfitf(garbledProblem, label)
	}
	s = toJSON(s)
	return s[1 : len(s)-1], nil
}

// toJSON encodes a value that was decoded from JSON, which cannot fail.
func toJSON(v any) string {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
	return strings.TrimSuffix(buf.String(), "\n")
}
