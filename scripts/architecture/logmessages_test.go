package architecture

import (
	"go/token"
	"testing"
)

// maxLogMessage is how many bytes a message of the log has at most. It says what
// happened; which and why are attributes. What to do about it is in the pages.
const maxLogMessage = 130

// TestLogMessagesAreShort looks at all log lines of ours.
func TestLogMessagesAreShort(t *testing.T) {
	lines := 0
	logCalls(t, func(at token.Position, _, message string) {
		lines++
		if len(message) > maxLogMessage {
			t.Errorf("%s: a message of %d bytes, want %d at most: %q", at, len(message), maxLogMessage, message)
		}
	})
	if lines < 80 {
		t.Errorf("only %d log lines found", lines)
	}
}
