package screen

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/scripts/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

func TestKeysAreParsed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want []Key
		rest string
	}{
		{"jq", []Key{'j', 'q'}, ""},
		{"\r\n\t\x7f\b\x03", []Key{Enter, Enter, Tab, Backspace, Backspace, CtrlC}, ""},
		{"\x1b[A\x1b[B\x1bOH\x1b[F\x1b[5~\x1b[6~\x1b[1~\x1b[8~", []Key{Up, Down, Home, End, PageUp, PageDown, Home, End}, ""},
		{"a\x1b", []Key{'a'}, "\x1b"},
		{"\x1b[", nil, "\x1b["},
		{"\x1b[1;5", nil, "\x1b[1;5"},
		{"\x1b[1;5Cx", []Key{'x'}, ""},                        // a key that means nothing here
		{"\x1b[" + strings.Repeat("1", maxSequence), nil, ""}, // no key
		{"\x1b\x1b[A", []Key{Esc, Up}, ""},
		{"ü\xe2\x82", []Key{'ü'}, "\xe2\x82"},
		{"\xff\xffk", []Key{'k'}, ""},
	} {
		keys, rest := parse([]byte(c.text))
		if !slices.Equal(keys, c.want) || string(rest) != c.rest {
			t.Errorf("%q: %q and %q left, want %q and %q", c.text, keys, rest, c.want, c.rest)
		}
	}
}

// An ESC alone is the key once nothing more comes. A sequence may come in parts.
func TestEscIsAKeyIfNothingFollows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chunks, keys, closed := make(chan []byte), make(chan Key), make(chan struct{})
		go decode(chunks, keys, closed)
		chunks <- []byte("\x1b")
		began := time.Now()
		if k := <-keys; k != Esc || time.Since(began) != escTime {
			t.Errorf("%q after %v", k, time.Since(began))
		}
		chunks <- []byte("\x1b")
		chunks <- []byte("[")
		chunks <- []byte("A")
		if k := <-keys; k != Up {
			t.Errorf("in parts: %q", k)
		}
		close(chunks)
		if _, open := <-keys; open {
			t.Error("keys go on without a terminal")
		}
		close(closed)
	})
}

// A screen that is closed leaves nobody behind who waits to hand over a key.
func TestClosedScreenReadsNoKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chunks, keys, closed := make(chan []byte), make(chan Key), make(chan struct{})
		go read(strings.NewReader("jkq"), chunks, closed)
		go decode(chunks, keys, closed)
		<-keys
		close(closed)
	})
}

func TestOnlyChangedLinesAreDrawn(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	p := painter{out: &out, color: true}
	draw := func(width, height int, lines ...Line) string {
		out.Reset()
		if err := p.draw(lines, width, height); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	one, two := Line{Text: "one"}, Line{Text: "two", Style: Bold | Red}
	if got, want := draw(5, 3, one, two), "\x1b[0m\x1b[2J\x1b[1;1H\x1b[2Kone\x1b[0m\x1b[2;1H\x1b[2K\x1b[1;31mtwo\x1b[0m"; got != want {
		t.Errorf("first %q, want %q", got, want)
	}
	if got := draw(5, 3, one, two); got != "" {
		t.Errorf("the same again: %q", got)
	}
	two.Style = Reverse
	if got, want := draw(5, 3, one, two), "\x1b[2;1H\x1b[2K\x1b[7mtwo  \x1b[0m"; got != want {
		t.Errorf("a change %q, want %q", got, want)
	}
	if got, want := draw(5, 3, one), "\x1b[2;1H\x1b[2K\x1b[0m"; got != want {
		t.Errorf("a line less %q, want %q", got, want)
	}
	if got := draw(4, 1, Line{Text: "longer"}, two); !strings.Contains(got, "\x1b[2J") || !strings.Contains(got, "lon…") || strings.Contains(got, "two") {
		t.Errorf("a smaller screen: %q", got)
	}
}

// No text makes the terminal do anything, and without colour there is none.
func TestTextIsOnlyText(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	p := painter{out: &out}
	hostile := "a\x1b]0;owned\x07\n\r\t\x9b31m\u202eb\xff\u0085c"
	if err := p.draw([]Line{{Text: hostile, Style: Red | Yellow | Bold}}, 80, 1); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "\x1b[0m\x1b[2J\x1b[1;1H\x1b[2K\x1b[1ma·]0;owned····\ufffd31m·b\ufffd·c\x1b[0m"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestWidths(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text    string
		columns int
		in5     string
	}{
		{"", 0, ""}, {"abcde", 5, "abcde"}, {"abcdef", 6, "abcd…"}, {"日本語", 6, "日本…"}, {"e\u0301e\u0301", 2, "e\u0301e\u0301"}, {"▁▂▃▄▅▆", 6, "▁▂▃▄…"},
	} {
		if got := Width(c.text); got != c.columns {
			t.Errorf("%q takes %d columns, want %d", c.text, got, c.columns)
		}
		if got := Clip(c.text, 5); got != c.in5 {
			t.Errorf("%q is cut to %q, want %q", c.text, got, c.in5)
		}
	}
	if got := Clip("ab", 0) + Clip("ab", 1); got != "…" {
		t.Errorf("cut to nothing: %q", got)
	}
}
