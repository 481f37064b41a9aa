package api

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each thing that is not well is named, and nothing else.
func TestCheck(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*StatusReport)
		want   []Problem
	}{
		"all is well":       {func(*StatusReport) {}, nil},
		"not joined":        {func(s *StatusReport) { s.Joined = false }, []Problem{{Text: "no node could be joined yet", Do: "agentctl health"}}},
		"leaving":           {func(s *StatusReport) { s.State = "leaving" }, []Problem{{Text: "the node is leaving", Do: "agentctl health"}}},
		"a warning":         {func(s *StatusReport) { s.Warnings = []string{"a port is closed"} }, []Problem{{Text: "a port is closed", Do: "agentctl status"}}},
		"a disk that works": {func(s *StatusReport) { s.Journal.Disk = &DiskReport{Error: "of yesterday"} }, nil},
		"a full disk": {func(s *StatusReport) { s.Journal.Disk = &DiskReport{Degraded: true, Error: "full"} },
			[]Problem{{Text: "the journal's disk fails or lags: full", Do: "agentctl status"}}},
		"retrying": {func(s *StatusReport) { s.Targets[0].State = TargetRetrying },
			[]Problem{{Target: "kong", Text: "retrying: answered 500", Do: "agentctl replay -now -target=kong"}}},
		"refusing": {func(s *StatusReport) { s.Targets[0].State = TargetRefusing },
			[]Problem{{Target: "kong", Text: "refusing: answered 500", Do: "agentctl events -state=buried -target=kong"}}},
		"flushing": {func(s *StatusReport) { s.Targets[0].State = TargetFlushing },
			[]Problem{{Target: "kong", Text: "flushing: too many waited", Do: "agentctl status"}}},
		"stale": {func(s *StatusReport) { s.Targets[0].State = TargetStale },
			[]Problem{{Target: "kong", Text: "stale, empty its cache: too many waited", Do: "agentctl replay -accept-gap -target=kong"}}},
		"a later version's word": {func(s *StatusReport) { s.Targets[0].State = "sleeping" },
			[]Problem{{Target: "kong", Text: "sleeping", Do: "agentctl status"}}},
	} {
		s := StatusReport{State: "alive", Joined: true, Targets: []TargetReport{
			{Target: "kong", State: TargetOK, LastError: "answered 500", GapReason: "too many waited"},
		}}
		test.change(&s)
		if diff := cmp.Diff(test.want, s.Check()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
