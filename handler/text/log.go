package text

import (
	"log/slog"
	"time"
)

// Round cuts a duration to milliseconds, for log lines and errors.
func Round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// LogPayload returns the beginning of a payload as a value for a log line. It is
// escaped only if the line is written: most debug lines are never read. The
// value does not keep the payload's memory.
func LogPayload(payload []byte) slog.LogValuer {
	// One byte more than is shown, so that the cut shows.
	return payloadExcerpt(payload[:min(len(payload), ExcerptSize+1)])
}

type payloadExcerpt string

// LogValue is for slog.
func (p payloadExcerpt) LogValue() slog.Value {
	return slog.StringValue(Excerpt(string(p), ExcerptSize))
}
