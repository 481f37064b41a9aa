package text

import (
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

func Round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// ExcerptSize bounds what is shown of an answer in an error or a log line.
const ExcerptSize = 200

// Excerpt is the first bytes of text that strangers wrote, fit for a log line
// and a terminal: control and other unprintable characters are escaped.
func Excerpt(s string, limit int) string {
	s = strings.TrimSpace(s)
	cut := len(s) > limit
	if cut {
		s = s[:limit]
		// Not within a character, where there is one.
		for i := 1; i < utf8.UTFMax && i < len(s); i++ {
			if c := s[len(s)-i]; utf8.RuneStart(c) {
				if !utf8.FullRuneInString(s[len(s)-i:]) {
					s = s[:len(s)-i]
				}
				break
			}
		}
	}
	s = strconv.Quote(s)
	s = strings.ReplaceAll(s[1:len(s)-1], `\"`, `"`)
	if cut {
		s += "..."
	}
	return s
}

// payloadExcerpt is how a payload begins. It is written out only where a log
// line with it is: most debug lines are never read.
type payloadExcerpt string

func LogPayload(payload []byte) payloadExcerpt {
	// One more than is shown, so that the cut shows.
	return payloadExcerpt(payload[:min(len(payload), ExcerptSize+1)])
}

// LogValue is for slog.
func (p payloadExcerpt) LogValue() slog.Value {
	return slog.StringValue(Excerpt(string(p), ExcerptSize))
}
