package main

import (
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// printable shortens text of strangers to some bytes, and quotes it where it
// holds what a terminal would act on or not show.
func printable(text []byte, most int) string {
	cut := ""
	if len(text) > most {
		for most > 0 && !utf8.RuneStart(text[most]) {
			most--
		}
		text, cut = text[:most], "…"
	}
	s := string(text)
	if !utf8.ValidString(s) || strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
		s = strconv.Quote(s)
	}
	return s + cut
}

// word is printable for a name in a table or a sentence: quoted, too, where it
// would not be one word, and never empty.
func word(name string) string {
	if name == "" || strings.ContainsAny(name, " \"") {
		return strconv.Quote(name)
	}
	return printable([]byte(name), 200)
}

// escapedLines is text in full, with its lines, and all else escaped that a
// terminal would act on.
func escapedLines(text []byte) string {
	var b strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case r == '\n' || r == '\t' || unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			q := strconv.QuoteRune(r)
			b.WriteString(q[1 : len(q)-1])
		}
		text = text[n:]
	}
	return b.String()
}

// timestamp is a time as the commands show it, and as -since takes it.
func timestamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02T15:04:05.000Z07:00")
}

// age is how long ago t was; "-" for no time.
func age(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return brief(now.Sub(t))
}

// brief is a duration to a few digits. What is below zero comes of two clocks.
func brief(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + "s"
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return strconv.Itoa(int(d.Hours()/24)) + "d"
}

// ago is age as a word of a sentence.
func ago(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return age(t, now) + " ago"
}

// count is a number of things: "1 event", "2 events".
func count[T int | uint64](n T, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// unexpected says that a command takes no such argument.
func unexpected(fs *flag.FlagSet) error {
	return &usageError{fmt.Sprintf("unexpected argument %q; \"agentctl %s -help\" shows how", fs.Arg(0), fs.Name())}
}
