package screen

import (
	"io"
	"time"
	"unicode/utf8"
)

// Key is a key, or what it types.
type Key rune

const (
	CtrlC     Key = 3
	Tab       Key = '\t'
	Enter     Key = '\r'
	Esc       Key = 0x1b
	Backspace Key = 0x7f
)

// Keys that type nothing.
const (
	Up Key = -1 - iota
	Down
	PageUp
	PageDown
	Home
	End
	unknown
)

// sequenced is the key of what follows ESC [ or ESC O.
func sequenced(text string) Key {
	switch text {
	case "A":
		return Up
	case "B":
		return Down
	case "H", "1~", "7~":
		return Home
	case "F", "4~", "8~":
		return End
	case "5~":
		return PageUp
	case "6~":
		return PageDown
	}
	return unknown
}

const (
	// escTime is how long what follows an ESC may be late. Else it was the key Esc.
	escTime = 50 * time.Millisecond
	// maxSequence bounds a sequence, in bytes.
	maxSequence = 32
)

// read sends what comes from the terminal, and closes the channel at its end.
func read(in io.Reader, chunks chan<- []byte, closed <-chan struct{}) {
	defer close(chunks)
	for {
		chunk := make([]byte, 256)
		n, err := in.Read(chunk)
		if err != nil {
			return
		}
		select {
		case chunks <- chunk[:n]:
		case <-closed:
			return
		}
	}
}

// decode makes keys of what was read.
func decode(chunks <-chan []byte, keys chan<- Key, closed <-chan struct{}) {
	defer close(keys)
	var pending []byte
	for {
		var late <-chan time.Time
		if len(pending) > 0 {
			late = time.After(escTime)
		}
		var got []Key
		select {
		case chunk, more := <-chunks:
			if !more {
				return
			}
			got, pending = parse(append(pending, chunk...))
		case <-late:
			if pending[0] == byte(Esc) {
				got = []Key{Esc}
			}
			pending = nil
		case <-closed:
			return
		}
		for _, key := range got {
			select {
			case keys <- key:
			case <-closed:
				return
			}
		}
	}
}

// parse reads keys, and returns what may be the beginning of another.
func parse(text []byte) (keys []Key, rest []byte) {
	for len(text) > 0 {
		key, n := one(text)
		if n == 0 {
			return keys, text
		}
		if key != unknown {
			keys = append(keys, key)
		}
		text = text[n:]
	}
	return keys, nil
}

// one reads a key of n bytes; n is 0 if more have to come.
func one(text []byte) (key Key, n int) {
	switch c := text[0]; {
	case c == byte(Esc) && len(text) == 1:
		return unknown, 0
	case c == byte(Esc) && (text[1] == '[' || text[1] == 'O'):
		return sequence(text)
	case c == '\n':
		return Enter, 1
	case c == '\b':
		return Backspace, 1
	case !utf8.FullRune(text):
		return unknown, 0
	}
	r, n := utf8.DecodeRune(text)
	if r == utf8.RuneError && n == 1 {
		return unknown, n
	}
	return Key(r), n
}

// sequence reads what begins with ESC [ or ESC O.
func sequence(text []byte) (key Key, n int) {
	for i, c := range text[2:] {
		if c >= 0x40 && c <= 0x7e {
			return sequenced(string(text[2 : i+3])), i + 3
		}
	}
	if len(text) > maxSequence {
		return unknown, len(text)
	}
	return unknown, 0
}
