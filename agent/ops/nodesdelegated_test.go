package ops

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentctl/agent/api"
	"agentctl/agent/delegate"
)

// What delegates pass on is the whole answer. What many say alike has no times in it.
func TestPackedAnswersComeBack(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 30, 12, 0, 0, 123456789, time.UTC)
	answers := []nodeAnswer{{}, {Known: true}, {Known: true, Stuck: true, Targets: map[string]api.OutcomeReport{
		"b": {State: api.OutcomeWaiting, Reason: "answered 503"}, "a": {State: api.OutcomeDelivered, Status: 204, Time: at, Into: "1-a"},
	}}}
	for _, a := range answers {
		packed, err := pack(a)
		if err != nil {
			t.Fatal(err)
		}
		got, err := unpack(packed)
		if diff := cmp.Diff(a, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		if strings.Contains(string(packed.Shared), "2026") {
			t.Errorf("there is a time in %s", packed.Shared)
		}
		if _, err := unpack(delegate.Answer{Shared: packed.Shared, Own: append(packed.Own, 1)}); err == nil {
			t.Error("more times than targets are taken")
		}
	}
	if _, err := unpack(delegate.Answer{Shared: []byte("no JSON")}); err == nil {
		t.Error("no JSON is taken")
	}
}
