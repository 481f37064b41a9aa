package ops

import (
	"net/http"
	"strings"
	"testing"

	"agentctl/agent/link"
	"agentctl/handler/journal"
)

// Without links nobody can be asked, and the answer says so.
func TestTheClusterWithoutLinks(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		r := newRig(t, journal.Config{})
		if status, text := r.ask(t, "GET", "/v1/cluster", "", nil); status != http.StatusConflict || !strings.Contains(text, "-peer-links") {
			t.Errorf("%d %s", status, text)
		}
		if status, text := r.ask(t, "GET", "/v1/cluster?all=1", "", nil); status != http.StatusBadRequest {
			t.Errorf("with a parameter that is not known: %d %s", status, text)
		}
		if _, err := r.ops.AnswerStatus(t.Context(), link.Peer{}, []byte{1}); err == nil {
			t.Error("a peer is answered")
		}
	})
}
