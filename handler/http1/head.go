package http1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxHead bounds the header of an answer, with those of interim answers, in bytes.
const maxHead = 64 << 10

// AnswerError means that an answer is not HTTP, or breaks its rules.
type AnswerError struct{ Why string }

func (e *AnswerError) Error() string { return "its answer is not HTTP, or breaks its rules: " + e.Why }

func broken(format string, args ...any) error { return &AnswerError{fmt.Sprintf(format, args...)} }

// head is what an answer's header says.
type head struct {
	status     int
	length     int64 // of the body; -1: up to the end of the connection, or in chunks
	chunked    bool
	again      bool // the connection can be used again, once the body is read
	location   string
	retryAfter string
}

// readHead reads up to the header of the answer that is not an interim one.
func readHead(r *bufio.Reader) (h head, err error) {
	lines := lineReader{r: r, left: maxHead}
	for {
		if h, err = lines.head(); err != nil || h.status/100 != 1 || h.status == 101 {
			return h, err
		}
	}
}

// lineReader reads lines, up to a number of bytes in all.
type lineReader struct {
	r    *bufio.Reader
	left int
	long []byte // a line that is longer than r's buffer
}

// next returns a line without its end. It is valid until the next call. The error is
// [io.EOF] only if nothing came.
func (l *lineReader) next() ([]byte, error) {
	l.long = l.long[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		if l.left -= len(part); l.left < 0 {
			return nil, broken("server response headers exceeded %d bytes", maxHead)
		}
		if err == bufio.ErrBufferFull {
			l.long = append(l.long, part...)
			continue
		}
		if err == io.EOF && len(l.long)+len(part) > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
		if len(l.long) > 0 {
			part = append(l.long, part...)
			l.long = part
		}
		part = part[:len(part)-1]
		if n := len(part); n > 0 && part[n-1] == '\r' {
			part = part[:n-1]
		}
		return part, nil
	}
}

// head reads one header, of an interim answer too.
func (l *lineReader) head() (h head, err error) {
	line, err := l.next()
	if err != nil {
		return h, err
	}
	minor, err := h.statusLine(line)
	if err != nil {
		return h, err
	}
	h.length, h.again = -1, minor >= 1
	var chunked, sized bool
	for last := ""; ; {
		line, err := l.next()
		if err != nil {
			return h, midway(err)
		}
		if len(line) == 0 {
			break
		}
		if line[0] == ' ' || line[0] == '\t' {
			if last == "" || last == "framing" {
				return h, broken("malformed MIME header line: %q", excerpt(line))
			}
			continue // the rest of a field that is in several lines, as old servers send them
		}
		name, value, ok := bytes.Cut(line, []byte{':'})
		if !ok || !isToken(name) || bytes.ContainsFunc(value, isControl) {
			return h, broken("malformed MIME header line: %q", excerpt(line))
		}
		value, last = bytes.Trim(value, " \t"), "other"
		switch {
		case is(name, "content-length"):
			n, err := length(value)
			if err != nil {
				return h, err
			}
			if sized && n != h.length {
				return h, broken("http: message cannot contain multiple Content-Length headers; got %d and %d", h.length, n)
			}
			h.length, sized, last = n, true, "framing"
		case is(name, "transfer-encoding"):
			if minor < 1 {
				break // HTTP/1.0 has none
			}
			if chunked || !is(value, "chunked") {
				return h, broken("unsupported transfer encoding: %q", excerpt(value))
			}
			chunked, last = true, "framing"
		case is(name, "connection"):
			for option := range bytes.SplitSeq(value, []byte{','}) {
				switch option = bytes.Trim(option, " \t"); {
				case is(option, "close"):
					h.again = false
				case is(option, "keep-alive") && minor < 1:
					h.again = true
				}
			}
		case is(name, "location") && h.location == "":
			h.location = string(value)
		case is(name, "retry-after") && h.retryAfter == "":
			h.retryAfter = string(value)
		}
	}
	if chunked {
		// A length beside chunks counts for nothing.
		h.chunked, h.length = true, -1
	}
	if !h.chunked && h.length < 0 {
		h.again = h.again && (h.status/100 == 1 || h.status == 204 || h.status == 304)
	}
	return h, nil
}

// statusLine reads the first line, and returns the minor version of HTTP/1.
func (h *head) statusLine(line []byte) (minor int, err error) {
	version, rest, ok := bytes.Cut(line, []byte{' '})
	if !ok {
		return 0, broken("malformed HTTP response %q", excerpt(line))
	}
	code, _, _ := bytes.Cut(bytes.TrimLeft(rest, " "), []byte{' '})
	if len(code) != 3 {
		return 0, broken("malformed HTTP status code %q", excerpt(code))
	}
	for _, c := range code {
		if c < '0' || c > '9' {
			return 0, broken("malformed HTTP status code %q", excerpt(code))
		}
		h.status = 10*h.status + int(c-'0')
	}
	v := string(version)
	if len(v) != len("HTTP/1.1") || !strings.HasPrefix(v, "HTTP/") || v[6] != '.' || v[5] < '0' || v[5] > '9' || v[7] < '0' || v[7] > '9' {
		return 0, broken("malformed HTTP version %q", excerpt(version))
	}
	if v[5] > '1' {
		return 1, nil
	}
	if v[5] < '1' {
		return 0, nil
	}
	return int(v[7] - '0'), nil
}

// length reads a Content-Length.
func length(value []byte) (int64, error) {
	n, err := strconv.ParseUint(string(value), 10, 63)
	if err != nil {
		return 0, broken("bad Content-Length %q", excerpt(value))
	}
	return int64(n), nil
}

// midway makes an error of one in the middle of an answer.
func midway(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return broken("unexpected end in its header")
	}
	return err
}

// is compares without regard to case. want is in lower case.
func is(got []byte, want string) bool {
	if len(got) != len(want) {
		return false
	}
	for i, c := range got {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != want[i] {
			return false
		}
	}
	return true
}

// isToken tells whether a name may be that of a field.
func isToken(name []byte) bool {
	if len(name) == 0 {
		return false
	}
	for _, c := range name {
		if c >= 0x80 || !tokens[c] {
			return false
		}
	}
	return true
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// tokens are the characters of a field's name.
var tokens = func() (t [0x80]bool) {
	for _, c := range "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" {
		t[c] = true
	}
	return t
}()

// excerpt is the beginning of what a server sent.
func excerpt(b []byte) []byte { return b[:min(len(b), 200)] }
