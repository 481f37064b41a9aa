package ops

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentctl/agent/api"
	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// stream is what a follower reads.
type stream struct {
	t    *testing.T
	body io.ReadCloser
	dec  *json.Decoder
}

func follow(t *testing.T, base, query string) *stream {
	t.Helper()
	resp, err := client(t).Get(base + "/v1/events?follow=1" + query)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if typ := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || typ != "application/x-ndjson" {
		t.Fatalf("%s, %s", resp.Status, typ)
	}
	return &stream{t, resp.Body, json.NewDecoder(bufio.NewReader(resp.Body))}
}

// next is the next line as the test writes it: LTIME STATES, or how many missed.
func (s *stream) next() string {
	s.t.Helper()
	var line api.FollowedEvent
	if err := s.dec.Decode(&line); err != nil {
		s.t.Fatal(err)
	}
	if line.Missed > 0 {
		return fmt.Sprintf("%d missed", line.Missed)
	}
	text := fmt.Sprint(line.LTime)
	for _, name := range []string{"refuser", "taker", "waiter"} {
		if o, ok := line.Targets[name]; ok {
			text += " " + string(o.State)
		}
	}
	return text
}

func (s *stream) want(lines ...string) {
	s.t.Helper()
	var got []string
	for range lines {
		got = append(got, s.next())
	}
	if diff := cmp.Diff(lines, got); diff != "" {
		s.t.Errorf("the stream (-want +got):\n%s", diff)
	}
}

func userEvent(ltime uint64, name string) handler.Event {
	return handler.NewUser(ltime, name, nil, time.Time{})
}

// An event comes once it is settled, or after a second.
func TestFollowersSeeWhatComes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _, _ := threeTargets(t)
		all := follow(t, r.URL, "&limit=2")
		all.want("4 buried delivered", "5 buried waiting")
		buried := follow(t, r.URL, "&limit=1&state=buried&target=refuser&name=kong")
		buried.want("4 buried delivered")
		r.append(t, userEvent(6, "purge"), userEvent(7, "kong"), userEvent(8, "other"))
		all.want("6 buried waiting", "7 buried delivered", "8")
		buried.want("7 buried delivered")
	})
}

// deadlines lets a recorder have deadlines, as a connection does.
type deadlines struct{ *httptest.ResponseRecorder }

func (deadlines) SetWriteDeadline(time.Time) error { return nil }

// An event is held back for its outcome, and those behind it with it, but not
// for long.
func TestFollowersWaitForOutcomes(t *testing.T) {
	t.Parallel()
	j := journal.New(journal.Config{})
	defer j.Close()
	c, err := j.Cursor("t", journal.CursorConfig{Filters: filters(t, "user:slow,user:fast")})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	if err := j.Append(handler.NewUser(1, "fast", nil, at), handler.NewUser(2, "slow", nil, at), handler.NewUser(3, "other", nil, at)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Ack(1, 200); err != nil {
		t.Fatal(err)
	}
	w := deadlines{httptest.NewRecorder()}
	f := &follower{history: newHistory(j, nil), q: &eventQuery{}, rc: http.NewResponseController(w), enc: newEncoder(w), next: 1}
	for _, step := range []struct {
		after time.Duration
		lines int
	}{{0, 1}, {followSettle - 1, 1}, {followSettle, 3}, {2 * followSettle, 3}} {
		if err := f.news(at.Add(step.after)); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(w.Body.String(), "\n"); got != step.lines {
			t.Errorf("after %v: %d lines, want %d", step.after, got, step.lines)
		}
	}
}

// A stream goes on when the server's time limit for answers is over.
func TestFollowingOutlivesTheLimitsOfRequests(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, journal.Config{})
		const limit = 5 * followEvery
		srv := &httptest.Server{Listener: memory.Listen(t), Config: &http.Server{Handler: r.Config.Handler, WriteTimeout: limit}}
		srv.Start()
		defer srv.Close()
		defer srv.CloseClientConnections()
		s := follow(t, srv.URL, "")
		begun := time.Now()
		for i := uint64(1); i <= 3 || time.Since(begun) < 3*limit; i++ {
			r.append(t, userEvent(i, "n"))
			s.want(fmt.Sprint(i))
		}
	})
}

// A follower that comes back names the last event that it had.
func TestAFollowerGoesOnWhereItWas(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, journal.Config{MaxEvents: 3})
		for i := range uint64(5) {
			r.append(t, userEvent(i+1, "n"))
		}
		follow(t, r.URL, "&after=3").want("4", "5")
		follow(t, r.URL, "&after=0").want("2 missed", "3", "4", "5")
		ahead := follow(t, r.URL, "&after=18446744073709551615") // of an earlier process
		r.append(t, userEvent(6, "n"))
		ahead.want("6")
	})
}

// Followers that read nothing cost nobody else anything, and their number is
// bounded.
func TestFollowersAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, journal.Config{})
		var streams []*stream
		for range api.MaxFollowers {
			streams = append(streams, follow(t, r.URL, ""))
		}
		for i := range uint64(100) { // more than the buffers of a connection hold
			r.append(t, handler.NewUser(i+1, "n", bytes.Repeat([]byte("x"), 256<<10), time.Time{}))
		}
		time.Sleep(2 * followEvery) // now the server waits in a write to each follower
		var page api.EventPage
		if r.ask(t, "GET", "/v1/events?limit=1", "", &page); len(page.Events) != 1 || page.Events[0].LTime != 100 {
			t.Errorf("beside followers that do not read: %d events", len(page.Events))
		}
		if status, text := r.ask(t, "GET", "/v1/events?follow=1", "", nil); status != http.StatusServiceUnavailable || !strings.Contains(text, "16 for each address") {
			t.Errorf("one too many: %d %s", status, text)
		}
		streams[0].body.Close()
		testkit.WaitFor(t, "a free slot", func() bool {
			resp, err := client(t).Get(r.URL + "/v1/events?follow=1&limit=1")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			return resp.StatusCode == http.StatusOK
		})
	})
}

// A stream ends when the server does.
func TestFollowersEndWithTheServer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		j := journal.New(journal.Config{})
		defer j.Close()
		server := New(memory.Listen(t), testConfig(j))
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- server.Run(ctx) }()
		s := follow(t, "http://"+server.Addr().String(), "")
		if err := j.Append(userEvent(1, "n")); err != nil {
			t.Fatal(err)
		}
		s.want("1")
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		var err error
		for err == nil {
			err = s.dec.Decode(new(api.FollowedEvent))
		}
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("the stream ended with %v", err)
		}
	})
}
