package ops

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentctl/agent/api"
	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/target"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// replay asks for one and waits until it has finished.
func (r *rig) replay(t *testing.T, body string) api.ReplayReport {
	t.Helper()
	var report api.ReplayReport
	if status, text := r.ask(t, "POST", "/v1/replay", body, &report); status != http.StatusAccepted {
		t.Fatalf("%s: %d %s", body, status, text)
	}
	if report.Waiting != report.Events || report.ID == 0 {
		t.Errorf("at the beginning: %+v", report)
	}
	testkit.WaitFor(t, "the replay", func() bool {
		r.ask(t, "GET", fmt.Sprintf("/v1/replay/%d", report.ID), "", &report)
		return report.Waiting == 0
	})
	return report
}

func TestReplay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, refuser, base := threeTargets(t)
		event := func(i int, name string) string {
			return handler.NewUser(uint64(i), name, fmt.Appendf(nil, "<%d>", i), base).ID
		}
		var dry api.ReplayReport
		if status, text := r.ask(t, "POST", "/v1/replay", `{"target":"refuser","buried":true,"dry_run":true}`, &dry); status != http.StatusOK {
			t.Fatal(status, text)
		}
		if dry.Events != 4 || dry.ID != 0 || dry.Waiting != 0 || !dry.First.Equal(base) || !dry.Last.Equal(base.Add(4*time.Minute)) {
			t.Errorf("a dry run: %+v", dry)
		}
		if again := r.replay(t, `{"target":"refuser","buried":true}`); again.Events != 4 || again.Buried != 4 {
			t.Errorf("the gateway still refuses: %+v", again)
		}
		refuser.Down.Store(false)
		if mended := r.replay(t, `{"target":"refuser","buried":true}`); mended.Events != 4 || mended.Delivered != 4 {
			t.Errorf("the gateway is mended: %+v", mended)
		}
		var none api.ReplayReport
		if status, _ := r.ask(t, "POST", "/v1/replay", `{"target":"refuser","buried":true}`, &none); status != http.StatusOK || none.Events != 0 {
			t.Errorf("nothing is buried: %d %+v", status, none)
		}
		since := base.Add(2 * time.Minute).Format(time.RFC3339)
		if got := r.replay(t, fmt.Sprintf(`{"target":"refuser","since":%q}`, since)); got.Events != 2 || got.Delivered != 2 {
			t.Errorf("since: %+v", got)
		}
		// In the journal's order, once each, the filter or not.
		ids := fmt.Sprintf(`{"target":"refuser","ids":[%q,%q,%q]}`, event(3, "other"), event(1, "kong"), event(3, "other"))
		if got := r.replay(t, ids); got.Events != 2 || got.Delivered != 2 {
			t.Errorf("by ID: %+v", got)
		}
		var bodies []string
		for _, p := range refuser.Of("user") {
			bodies = append(bodies, p.Body)
		}
		if got := strings.Join(bodies, " "); got != "<1> <2> <4> <5> <4> <5> <1> <3>" {
			t.Errorf("the gateway got %s", got)
		}
	})
}

func TestReplayIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _, base := threeTargets(t)
		first := handler.NewUser(1, "kong", []byte("<1>"), base).ID
		many := `{"target":"taker","ids":["` + strings.Repeat(`a","`, api.MaxReplayIDs) + `a"]}`
		for _, test := range []struct {
			body   string
			header []string
			status int
			text   string
		}{
			{`{"target":"x","buried":true}`, nil, 404, `unknown target "x": there are taker, refuser, waiter`},
			{`{"buried":true}`, nil, 404, `unknown target ""`},
			{`{"target":"taker"}`, nil, 400, "exactly one of ids, since and buried"},
			{`{"target":"taker","flush":true,"dry_run":true}`, nil, 400, "leave them out"},
			{`{"target":"taker","accept_gap":true,"limit":1}`, nil, 400, "leave them out"},
			{`{"target":"taker","now":true,"dry_run":true}`, nil, 400, "leave them out"},
			{`{"target":"taker","now":true,"buried":true}`, nil, 400, "one of flush, accept_gap and now"},
			{`{"target":"taker","accept_gap":true,"flush":true}`, nil, 400, "one of flush, accept_gap and now"},
			{`{"target":"taker","buried":true,"limit":-1}`, nil, 400, "-1 is below 0"},
			{`{"target":"taker","flush":true}`, nil, 409, "it has no flush request"},
			{`{"target":"taker","buried":true,"since":"1h"}`, nil, 400, "exactly one of ids, since and buried"},
			{`{"target":"taker","since":"yesterday"}`, nil, 400, "neither a duration"},
			{`{"target":"taker","ids":["7-abc"]}`, nil, 404, "goes back to " + base.Format(time.RFC3339) + ", event " + first},
			{many, nil, 400, "ask in parts"},
			{`{"target":"taker","burried":true}`, nil, 400, `unknown field "burried"`},
			{`{"target":"taker","buried":true}{}`, nil, 400, "more follows"},
			{`{"target":`, nil, 400, "not as it should be"},
			{`{"target":"` + strings.Repeat("x", api.MaxRequest) + `"}`, nil, 413, "larger than"},
			{`{"target":"taker","buried":true}`, []string{"Content-Type", "text/plain"}, 415, "Content-Type: application/json"},
			{`{"target":"taker","buried":true}`, []string{"Host", "evil.example"}, 421, `host name "evil.example"`},
		} {
			status, text := r.ask(t, "POST", "/v1/replay", test.body, nil, test.header...)
			if status != test.status || !strings.Contains(text, test.text) {
				t.Errorf("%.80s %v: %d %q, want %d %q", test.body, test.header, status, text, test.status, test.text)
			}
		}
		for path, want := range map[string]int{"/v1/replay/77": 404, "/v1/replay/x": 400} {
			if status, _ := r.ask(t, "GET", path, "", nil); status != want {
				t.Errorf("%s: %d, want %d", path, status, want)
			}
		}
	})
}

// A replay of more than a target can hold is refused as a whole.
func TestReplayOfTooManyIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		r := newRig(t, journal.Config{MaxPending: 3}, target.Target{Name: "t", URL: gw.URL})
		for i := range uint64(5) {
			time.Sleep(time.Millisecond) // each event has a time of its own
			r.append(t, userEvent(i+1, "n"))
			r.settled(t)
		}
		status, text := r.ask(t, "POST", "/v1/replay", `{"target":"t","since":"1h"}`, nil)
		if status != http.StatusConflict || !strings.Contains(text, "choose at most 3") {
			t.Errorf("%d %s", status, text)
		}
		if n := len(gw.Of("user")); n != 5 {
			t.Errorf("the gateway got %d events, want 5", n)
		}
		if !strings.Contains(text, "a limit of 3 takes the oldest") {
			t.Errorf("no next step: %s", text)
		}
		part := r.replay(t, `{"target":"t","since":"1h","limit":3}`)
		if part.Events != 3 || part.Left != 2 || part.Delivered != 3 {
			t.Errorf("the first part: %+v", part)
		}
		rest := r.replay(t, fmt.Sprintf(`{"target":"t","since":%q,"limit":3}`, part.Last.Add(1).Format(time.RFC3339Nano)))
		if rest.Events != 2 || rest.Left != 0 {
			t.Errorf("the rest: %+v", rest)
		}
		var got []string
		for _, p := range gw.Of("user")[5:] {
			got = append(got, p.ID)
		}
		var want []string
		for i := range uint64(5) {
			want = append(want, userEvent(i+1, "n").ID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("replayed in parts (-want +got):\n%s", diff)
		}
	})
}

// What the history lets go of between the choice and the replay is no fault of
// the server's.
func TestReplayOfWhatHasGone(t *testing.T) {
	t.Parallel()
	err := refused(fmt.Errorf("target t: %w", &journal.NotHeldError{Seq: 3}))
	if e, ok := errors.AsType[*httpError](err); !ok || e.status != http.StatusConflict || !strings.Contains(e.text, "choose again") {
		t.Errorf("got %v", err)
	}
}

// The agent remembers some replays, and what became of their events. It forgets
// those that run last.
func TestReplaysAreForgotten(t *testing.T) {
	t.Parallel()
	states := map[uint64]journal.OutcomeState{1: journal.OutcomeDelivered, 2: journal.OutcomeBuried, 3: journal.OutcomeLost,
		4: journal.OutcomeWaiting, 5: journal.OutcomeOutdated}
	outcome := func(target string, seq uint64) journal.Outcome { return journal.Outcome{State: states[seq]} }
	var rs replays
	add := func(seqs ...uint64) {
		rs.add(&replay{report: api.ReplayReport{Target: "t", Events: len(seqs)}, seqs: seqs}, outcome)
	}
	known := func(id uint64) bool { _, ok := rs.progress(id, outcome); return ok }
	add(1, 4)    // 1 runs
	add(1, 2)    // 2 has finished
	add(1, 3, 5) // 3, too
	for range keptReplays - 3 {
		add(1, 2, 3, 4, 5)
	}
	add(4)
	if !known(1) || known(2) || !known(3) {
		t.Error("the oldest finished replay is not the one that is forgotten")
	}
	add(4)
	if !known(1) || known(3) {
		t.Error("a running replay is forgotten before a finished one")
	}
	add(4)
	if known(1) || !known(4) {
		t.Error("where all run, not the oldest is forgotten")
	}
	got, ok := rs.progress(4, outcome)
	if want := (api.ReplayReport{ID: 4, Target: "t", Events: 5, Waiting: 1, Delivered: 1, Buried: 1, Lost: 1, Outdated: 1}); !ok || got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	delete(states, 4) // its target is gone
	if got, _ := rs.progress(4, outcome); got.Lost != 1 || got.Unknown != 1 || got.Waiting != 0 {
		t.Errorf("without the target: %+v", got)
	}
}
