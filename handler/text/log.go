package text

import (
	"log/slog"
	"time"
)

func Round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

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
