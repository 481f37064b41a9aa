package ops

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentctl/agent/api"
	"agentctl/handler/journal"
	"agentctl/handler/target"
	"agentctl/scripts/testkit/memory"
)

// A few requests search at a time; others have their turn, or are told to come
// again.
func TestSearchesAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		j := journal.New(journal.Config{})
		defer j.Close()
		a := newHistory(j, func() []Target { return nil })
		var ends []func()
		for range api.MaxSearches {
			end, err := a.beginSearch(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			ends = append(ends, end)
		}
		list := func() int {
			w := httptest.NewRecorder()
			a.list(w, httptest.NewRequest("GET", "/v1/events", nil))
			return w.Code
		}
		if got := list(); got != http.StatusServiceUnavailable {
			t.Errorf("one search too many: %d", got)
		}
		time.AfterFunc(searchWait/2, ends[0])
		if got := list(); got != http.StatusOK {
			t.Errorf("a search that waited: %d", got)
		}
		for _, end := range ends[1:] {
			end()
		}
		if n := len(a.searches); n != 0 {
			t.Errorf("%d searches did not end", n)
		}
	})
}

// growing is a client that is so slow that the journal lets go of events while
// it reads.
type growing struct {
	*httptest.ResponseRecorder
	grow func()
}

func (g growing) Write(b []byte) (int, error) {
	g.grow()
	return g.ResponseRecorder.Write(b)
}

func (g growing) WriteString(s string) (int, error) { return g.Write([]byte(s)) }

// A page holds no events for who reads it.
func TestAPageKeepsNoEvents(t *testing.T) {
	t.Parallel()
	j := journal.New(journal.Config{MaxEvents: 5})
	defer j.Close()
	ltime := uint64(0)
	grow := func() {
		ltime++
		if err := j.Append(userEvent(ltime, "n")); err != nil {
			t.Error(err)
		}
	}
	for range 5 {
		grow()
	}
	w := httptest.NewRecorder()
	newHistory(j, nil).list(growing{w, grow}, httptest.NewRequest("GET", "/v1/events", nil))
	var page api.EventPage
	if err := json.NewDecoder(w.Body).Decode(&page); err != nil {
		t.Fatal(err)
	}
	// Each write lets go of one: the beginning, a comma, an event.
	if diff := cmp.Diff([]uint64{2, 4}, ltimes(page.Events)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What waits or is buried is listed even when the history has let go of it.
func TestEventsThatOnlyATargetHolds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		refuser, down, taker := memory.NewGateway(t), memory.NewGateway(t), memory.NewGateway(t)
		refuser.Down.Store(true)
		down.Down.Store(true)
		r := newRig(t, journal.Config{MaxEvents: 3},
			target.Target{Name: "refuser", URL: refuser.URL, Filters: filters(t, "user:a"), BuryCodes: []int{503}},
			target.Target{Name: "waiter", URL: down.URL, Filters: filters(t, "user:b")},
			target.Target{Name: "taker", URL: taker.URL})
		for i := range uint64(9) {
			r.append(t, userEvent(i+1, string("abc"[i%3])))
			r.settled(t, "waiter")
		}
		for query, want := range map[string]string{
			"?state=buried":              "1 4 7 false",
			"?state=buried&limit=2":      "4 7 true",
			"?state=waiting":             "2 5 8 false",
			"?state=delivered":           "7 8 9 false",
			"":                           "1 2 4 5 7 8 9 false",
			"?limit=5":                   "4 5 7 8 9 true",
			"?after=2&limit=3":           "4 5 7 true",
			"?state=waiting&name=b":      "2 5 8 false",
			"?after=0&state=buried":      "1 4 7 false",
			"?state=buried&target=taker": "false",
		} {
			var page api.EventPage
			r.ask(t, "GET", "/v1/events"+query, "", &page)
			got := strings.TrimPrefix(fmt.Sprintf("%s %v", strings.Trim(fmt.Sprint(ltimes(page.Events)), "[]"), page.More), " ")
			if got != want {
				t.Errorf("%s: %s, want %s", query, got, want)
			}
		}
	})
}
