package ops

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
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

func ltimes(events []api.EventReport) []uint64 {
	out := []uint64{}
	for _, e := range events {
		out = append(out, e.LTime)
	}
	return out
}

func TestEventsAreListed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _, base := threeTargets(t)
		for _, test := range []struct {
			query string
			want  []uint64
			more  bool
		}{
			{"", []uint64{1, 2, 3, 4, 5}, false},
			{"?limit=2", []uint64{4, 5}, true},
			{"?limit=5", []uint64{1, 2, 3, 4, 5}, false},
			{"?after=0&limit=2", []uint64{1, 2}, true},
			{"?after=2&limit=2", []uint64{3, 4}, true},
			{"?after=4&limit=2", []uint64{5}, false},
			{"?after=5", []uint64{}, false},
			{"?after=18446744073709551615", []uint64{}, false},
			{"?name=kong", []uint64{1, 4}, false},
			{"?name=kon", []uint64{}, false},
			{"?target=waiter", []uint64{2, 5}, false},
			{"?state=waiting", []uint64{2, 5}, false},
			{"?state=delivered", []uint64{1, 4}, false},
			{"?state=buried&limit=3", []uint64{2, 4, 5}, true},
			{"?state=buried&target=taker", []uint64{}, false},
			{"?state=buried&target=refuser&name=purge", []uint64{2, 5}, false},
			{"?state=lost", []uint64{}, false},
			{"?since=" + base.Add(3*time.Minute).UTC().Format(time.RFC3339), []uint64{4, 5}, false},
			{"?since=59m30s", []uint64{2, 3, 4, 5}, false},
		} {
			var page api.EventPage
			if status, text := r.ask(t, "GET", "/v1/events"+test.query, "", &page); status != http.StatusOK {
				t.Errorf("%s: %d %s", test.query, status, text)
				continue
			}
			if diff := cmp.Diff(test.want, ltimes(page.Events)); diff != "" || page.More != test.more {
				t.Errorf("%s: more %v, want %v (-want +got):\n%s", test.query, page.More, test.more, diff)
			}
		}
		var page api.EventPage
		r.ask(t, "GET", "/v1/events?limit=1", "", &page)
		got := page.Events[0]
		for name, o := range got.Targets {
			if (o.Time.IsZero() || o.Status == 0) != (o.State == api.OutcomeWaiting) {
				t.Errorf("%s: %+v", name, o)
			}
			got.Targets[name] = api.OutcomeReport{State: o.State}
		}
		e := handler.NewUser(5, "purge", []byte("<5>"), time.Time{})
		want := api.EventReport{Seq: 5, ID: e.ID, Time: base.Add(4 * time.Minute), Type: handler.User, Name: "purge", LTime: 5, Size: 3,
			Payload: "<5>", Targets: map[string]api.OutcomeReport{"refuser": {State: "buried"}, "waiter": {State: "waiting"}}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("an event (-want +got):\n%s", diff)
		}
	})
}

func TestPagesGoThroughALongHistory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const events, kept = 3*window + 7, 2*window + 3
		r := newRig(t, journal.Config{MaxEvents: kept})
		for i := range uint64(events) {
			r.append(t, handler.NewUser(i+1, "n", nil, time.Time{}))
		}
		var page api.EventPage
		r.ask(t, "GET", "/v1/events?limit=10000", "", &page)
		if n := len(page.Events); n != kept || page.More || page.Events[0].LTime != events-kept+1 || page.Events[n-1].LTime != events {
			t.Errorf("all of it: %d events, more %v", n, page.More)
		}
		got := 0
		for after := uint64(0); ; {
			var page api.EventPage
			r.ask(t, "GET", fmt.Sprintf("/v1/events?limit=900&after=%d", after), "", &page)
			for _, e := range page.Events {
				if e.Seq <= after {
					t.Fatalf("event %d again", e.Seq)
				}
				after = e.Seq
			}
			if got += len(page.Events); !page.More {
				break
			}
		}
		if got != kept {
			t.Errorf("page by page: %d events, want %d", got, kept)
		}
	})
}

// A page ends where its payloads would be too many bytes, and says so.
func TestAPageIsBoundedInBytes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, journal.Config{})
		payload := bytes.Repeat([]byte("x"), api.MaxPageBytes/4)
		for i := range uint64(6) {
			r.append(t, handler.NewUser(i+1, "n", payload, time.Time{}))
		}
		for query, want := range map[string][]uint64{"": {3, 4, 5, 6}, "?after=0": {1, 2, 3, 4}} {
			var page api.EventPage
			r.ask(t, "GET", "/v1/events"+query, "", &page)
			if diff := cmp.Diff(want, ltimes(page.Events)); diff != "" || !page.More {
				t.Errorf("%q: more %v (-want +got):\n%s", query, page.More, diff)
			}
		}
	})
}

func TestAnEventIsShown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _, base := threeTargets(t)
		var got api.EventReport
		id := handler.NewUser(2, "purge", []byte("<2>"), base).ID
		if status, text := r.ask(t, "GET", "/v1/events/"+id, "", &got); status != http.StatusOK {
			t.Fatal(status, text)
		}
		o := got.Targets["refuser"]
		if got.ID != id || o.State != api.OutcomeBuried || o.Status != 503 || !strings.Contains(o.Reason, "503") || o.Time.IsZero() {
			t.Errorf("got %+v", got)
		}
		binary := handler.NewUser(9, "b", []byte("\xff\x00"), base)
		r.append(t, binary)
		got = api.EventReport{}
		r.ask(t, "GET", "/v1/events/"+binary.ID, "", &got)
		if got.Payload != "" || string(got.Bytes()) != "\xff\x00" {
			t.Errorf("a payload that is no text: %+v", got)
		}
		first := handler.NewUser(1, "kong", []byte("<1>"), base).ID
		if status, text := r.ask(t, "GET", "/v1/events/7-abc", "", nil); status != http.StatusNotFound || !strings.Contains(text, first) {
			t.Errorf("an unknown event: %d %s", status, text)
		}
	})
}

// An event that was joined to an equal one says to which.
func TestACollapsedEventIsShown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		gw.Down.Store(true)
		r := newRig(t, journal.Config{}, target.Target{Name: "t", URL: gw.URL, Collapse: true})
		r.append(t, userEvent(1, "a"))
		testkit.WaitFor(t, "the first attempt", func() bool { return gw.Attempts() > 0 })
		r.append(t, userEvent(2, "b"), userEvent(3, "b"))
		show := func() api.OutcomeReport {
			var got api.EventReport
			r.ask(t, "GET", "/v1/events/"+userEvent(3, "b").ID, "", &got)
			return got.Targets["t"]
		}
		if got, want := show(), (api.OutcomeReport{State: api.OutcomeWaiting, Into: userEvent(2, "b").ID}); got != want {
			t.Errorf("waiting: %+v, want %+v", got, want)
		}
		gw.Down.Store(false)
		r.settled(t)
		if got := show(); got.State != api.OutcomeDelivered || got.Into != userEvent(2, "b").ID || got.Status != http.StatusOK {
			t.Errorf("delivered: %+v", got)
		}
		if n := len(gw.Of("user")); n != 2 {
			t.Errorf("the gateway got %d events, want 2", n)
		}
	})
}

// BenchmarkList has the costs of a page from a full journal: of the newest
// events, and of a search through all.
func BenchmarkList(b *testing.B) {
	j := journal.New(journal.Config{})
	defer j.Close()
	for _, name := range []string{"one", "two"} {
		if _, err := j.Cursor(name, journal.CursorConfig{}); err != nil {
			b.Fatal(err)
		}
	}
	for i := range uint64(100_000) {
		if err := j.Append(handler.NewUser(i+1, "n", bytes.Repeat([]byte("x"), 300), time.Time{})); err != nil {
			b.Fatal(err)
		}
	}
	a := newHistory(j, func() []Target { return nil })
	for _, query := range []string{"", "limit=10000", "state=lost"} {
		b.Run(query, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				a.list(w, httptest.NewRequest("GET", "/v1/events?"+query, nil))
				if w.Code != http.StatusOK {
					b.Fatal(w.Body)
				}
			}
		})
	}
}
