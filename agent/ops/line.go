package ops

import (
	"bytes"
	"unicode/utf8"

	"agentctl/agent/publish"
)

// quickEvent reads a line of a batch as most programs write it: an object with a name, a
// payload and perhaps coalesce, each once, whose texts have no escapes of \u. It returns
// false for anything else, of which it knows nothing: encoding/json may yet read it, or says
// what is wrong. That takes several times as long; a fuzz test holds this function to it.
//
// The buffer is for texts with escapes. Nothing of it or of the line is in the event.
func quickEvent(line []byte, buf *[]byte) (e publish.Event, ok bool) {
	q := quick{rest: line, buf: buf}
	ok = q.next('{')
	named, paid, coalesces := false, false, false
	for more := ok; ok && more; more = ok && q.next(',') {
		switch key := q.text(); {
		case !q.next(':'):
			ok = false
		case string(key) == "name" && !named:
			named, e.Name = true, string(q.text())
		case string(key) == "payload" && !paid:
			paid, e.Payload = true, append([]byte{}, q.text()...)
		case string(key) == "coalesce" && !coalesces:
			coalesces, e.Coalesce = true, q.bool()
		default:
			ok = false
		}
	}
	ok = ok && q.next('}')
	q.space()
	return e, ok && !q.odd && len(q.rest) == 0 && e.Name != "" && paid && utf8.Valid(line)
}

// quick is what is left of a line. Once it is odd, what it reads is nothing.
type quick struct {
	rest []byte
	buf  *[]byte // see quickEvent
	odd  bool    // it is for encoding/json
}

func (q *quick) space() {
	for len(q.rest) > 0 && (q.rest[0] == ' ' || q.rest[0] == '\t' || q.rest[0] == '\r' || q.rest[0] == '\n') {
		q.rest = q.rest[1:]
	}
}

// next skips a character with the spaces before it, if it comes next.
func (q *quick) next(c byte) bool {
	if q.space(); len(q.rest) == 0 || q.rest[0] != c {
		return false
	}
	q.rest = q.rest[1:]
	return true
}

func (q *quick) bool() (value bool) {
	q.space()
	rest, ok := bytes.CutPrefix(q.rest, []byte("false"))
	if !ok {
		rest, value = bytes.CutPrefix(q.rest, []byte("true"))
	}
	q.rest, q.odd = rest, q.odd || !ok && !value
	return value
}

// unescaped are the characters that a backslash and a letter stand for.
var unescaped = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// text reads a text. Without escapes it is that part of the line itself.
func (q *quick) text() []byte {
	if q.odd = !q.next('"') || q.odd; q.odd {
		return nil
	}
	for i, c := range q.rest {
		switch {
		case c == '"':
			text := q.rest[:i]
			q.rest = q.rest[i+1:]
			return text
		case c == '\\':
			return q.escaped(i)
		case c < ' ':
			q.odd = true
			return nil
		}
	}
	q.odd = true
	return nil
}

// escaped reads a text whose first escape is at an index, into the buffer.
func (q *quick) escaped(at int) []byte {
	text := append((*q.buf)[:0], q.rest[:at]...)
	defer func() { *q.buf = text }()
	for i := at; i < len(q.rest); i++ {
		switch c := q.rest[i]; {
		case c == '"':
			q.rest = q.rest[i+1:]
			return text
		case c == '\\' && i+1 < len(q.rest) && unescaped[q.rest[i+1]] != 0:
			i++
			text = append(text, unescaped[q.rest[i]])
		case c == '\\' || c < ' ':
			q.odd = true
			return nil
		default:
			text = append(text, c)
		}
	}
	q.odd = true
	return nil
}
