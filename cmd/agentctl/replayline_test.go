package main

import (
	"testing"
	"time"

	"agentctl/agent/api"
)

func TestReplayLine(t *testing.T) {
	t.Parallel()
	at := longAgo()
	last := at.Add(1500 * time.Microsecond)
	span := " (of " + timestamp(at) + " to " + timestamp(last) + ")"
	report := func(r api.ReplayReport) api.ReplayReport {
		r.Target, r.First, r.Last = "t", at, last
		return r
	}
	buried := api.ReplayRequest{Buried: true}
	for _, test := range []struct {
		r    api.ReplayReport
		req  api.ReplayRequest
		want string
	}{
		{report(api.ReplayReport{Events: 10, Lost: 10}), buried,
			"10 events" + span + ` replayed to t: 0 delivered, 0 buried, 10 lost; lost ones were given up: "agentctl status" says what to do`},
		{report(api.ReplayReport{Events: 3, Delivered: 1, Buried: 2}), buried,
			"3 events" + span + ` replayed to t: 1 delivered, 2 buried, 0 lost; "agentctl events -target=t -state=buried" lists what it refused`},
		{report(api.ReplayReport{Events: 3, Delivered: 2, Outdated: 1}), buried,
			"3 events" + span + ` replayed to t: 2 delivered, 0 buried, 0 lost, 1 outdated`},
		{report(api.ReplayReport{Events: 3, Delivered: 2, Unknown: 1}), buried,
			"3 events" + span + ` replayed to t: 2 delivered, 0 buried, 0 lost, 1 unknown; the history has let go of unknown ones, or the target is gone`},
		{report(api.ReplayReport{Events: 2, Delivered: 2, Left: 5}), buried,
			"2 events" + span + " replayed to t, all delivered; 5 newer events left: run the command again"},
		{report(api.ReplayReport{Events: 2, Delivered: 1, Buried: 1, Left: 1}), buried,
			"2 events" + span + ` replayed to t: 1 delivered, 1 buried, 0 lost; "agentctl events -target=t -state=buried" lists what it refused; 1 newer event left`},
		{report(api.ReplayReport{Events: 2, Left: 5}), api.ReplayRequest{Buried: true, DryRun: true},
			"2 events" + span + " would be replayed to t; 5 newer events left"},
		{report(api.ReplayReport{Events: 2, Left: 5}), api.ReplayRequest{Since: "x", DryRun: true},
			"2 events" + span + " would be replayed to t; 5 newer events left: go on with -since=" + last.Format(time.RFC3339Nano)},
		{api.ReplayReport{Target: "t"}, api.ReplayRequest{Flush: true}, `t is to be flushed; "agentctl status" shows when it was`},
		{api.ReplayReport{Target: "t"}, api.ReplayRequest{Now: true}, "nothing waits for t"},
		{api.ReplayReport{Target: "t", Waiting: 2}, api.ReplayRequest{Now: true}, "t is tried at once; waiting: 2 events; \"agentctl status\" shows how it goes"},
		{api.ReplayReport{Target: "t"}, api.ReplayRequest{AcceptGap: true}, "t lacks nothing: there was no gap to accept"},
		{api.ReplayReport{Target: "t", GapSince: at}, api.ReplayRequest{AcceptGap: true}, "t counts as fresh: what it lacked since " + timestamp(at) + " is accepted"},
	} {
		if got := replayLine(&test.r, &test.req, false); got != test.want {
			t.Errorf("%+v:\ngot  %s\nwant %s", test.r, got, test.want)
		}
	}
	for events, want := range map[int]string{1: "1 event (of " + timestamp(at) + ") waits for t", 2: "2 events" + span + " wait for t"} {
		r := report(api.ReplayReport{Events: events})
		if got := replayLine(&r, &buried, true); got != want+` once more; "agentctl status" shows the progress` {
			t.Errorf("with -detach: %s", got)
		}
	}
}
