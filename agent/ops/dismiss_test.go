package ops

import (
	"net/http"
	"strings"
	"testing"

	"agentctl/agent/api"
	"agentctl/scripts/testkit"
)

// Burials are dismissed one by one or all at once. The target is ok then,
// and a replay of the buried events finds none.
func TestDismiss(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _, _ := threeTargets(t)
		state := func() api.TargetReport {
			var s api.StatusReport
			r.ask(t, "GET", "/v1/status", "", &s)
			return s.Targets[1]
		}
		if s := state(); s.State != api.TargetRefusing || s.BuriedNow != 4 {
			t.Errorf("%+v", s)
		}
		id := func(i int) string {
			var page api.EventPage
			r.ask(t, "GET", "/v1/events?state=buried&target=refuser", "", &page)
			return page.Events[i].ID
		}
		for _, wrong := range []struct {
			body   string
			status int
			text   string
		}{
			{`{"target":"refuser"}`, 400, "exactly one of ids and all"},
			{`{"target":"refuser","all":true,"ids":["1-a"]}`, 400, "exactly one of ids and all"},
			{`{"target":"x","all":true}`, 404, `unknown target "x"`},
			{`{"target":"refuser","ids":["` + id(0) + `","1-a"]}`, 404, `event "1-a" is not buried for target refuser`},
			{`{"target":"taker","ids":["` + id(0) + `"]}`, 404, "is not buried for target taker"},
		} {
			if status, text := r.ask(t, "POST", "/v1/dismiss", wrong.body, nil); status != wrong.status || !strings.Contains(text, wrong.text) {
				t.Errorf("%s: %d %s", wrong.body, status, text)
			}
		}
		dismiss := func(choice string) (got api.DismissReport) {
			t.Helper()
			if status, text := r.ask(t, "POST", "/v1/dismiss", `{"target":"refuser",`+choice+`}`, &got); status != http.StatusOK {
				t.Errorf("%s: %d %s", choice, status, text)
			}
			return got
		}
		testkit.Want(t, "one, named twice", dismiss(`"ids":["`+id(0)+`","`+id(0)+`"]`), api.DismissReport{Target: "refuser", Dismissed: 1, BuriedNow: 3})
		testkit.Want(t, "state", state().State, api.TargetRefusing)
		testkit.Want(t, "all", dismiss(`"all":true`), api.DismissReport{Target: "refuser", Dismissed: 3})
		testkit.Want(t, "all of none", dismiss(`"all":true`), api.DismissReport{Target: "refuser"})
		if s := state(); s.State != api.TargetOK || s.BuriedNow != 0 || s.Buried != 4 {
			t.Errorf("%+v", s)
		}
		var none api.ReplayReport
		r.ask(t, "POST", "/v1/replay", `{"target":"refuser","buried":true}`, &none)
		testkit.Want(t, "replayed", none, api.ReplayReport{Target: "refuser"})
	})
}
