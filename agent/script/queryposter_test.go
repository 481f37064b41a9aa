package script

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/handler"
	"agentctl/handler/target"
	"agentctl/scripts/testkit"
)

// posterFunc is a poster.
type posterFunc func(ctx context.Context, e *handler.Event) (target.Response, error)

func (f posterFunc) Post(ctx context.Context, e *handler.Event) (target.Response, error) {
	return f(ctx, e)
}

func TestQueryIsPostedOnceWithinItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, log := testkit.NewLog()
		posts := 0
		var got handler.Event
		p := posterFunc(func(ctx context.Context, e *handler.Event) (target.Response, error) {
			posts++
			got = *e
			<-ctx.Done()
			return target.Response{}, ctx.Err()
		})
		r := NewQueryRunner("gw", every, p, logger, nil)
		start := time.Now()
		q := &serf.Query{LTime: 3, Name: "ask", Payload: []byte("p")}
		r.run(t.Context(), Task{q, start.Add(7 * time.Second)})
		if took := time.Since(start); posts != 1 || took != 7*time.Second {
			t.Errorf("%d posts in %v, want one in 7s", posts, took)
		}
		if want := handler.NewQuery(3, "ask", []byte("p"), start); got.ID != want.ID || string(got.Body()) != "p" || got.Type != handler.Query {
			t.Errorf("posted %+v, want %+v", got, want)
		}
		if log.Count("level=WARN", "query was not answered", "target=gw", "query=ask") != 1 {
			t.Errorf("log: %s", log)
		}
	})
}

func TestQueryWithoutAnAnswerIsNotRespondedTo(t *testing.T) {
	logger, log := testkit.NewLog()
	posts := 0
	var err error
	r := NewQueryRunner("gw", every, posterFunc(func(context.Context, *handler.Event) (target.Response, error) {
		posts++
		return target.Response{Status: 204}, err
	}), logger, nil)
	// This query cannot be responded to: it would panic.
	later := time.Now().Add(time.Hour)
	r.run(t.Context(), Task{&serf.Query{}, later})
	err = errors.New("status 500")
	r.run(t.Context(), Task{&serf.Query{}, later})
	r.run(t.Context(), Task{Event: scriptEvent(1)}) // none of its business
	if posts != 2 || log.Count("level=WARN") != 1 || log.Count("status 500") != 1 {
		t.Errorf("%d posts, log: %s", posts, log)
	}
}

func TestQueriesOnly(t *testing.T) {
	for in, want := range map[string]string{
		"*":                          "query",
		"user:x,query:y,member-join": "query:y",
		"query,query:z":              "query,query:z",
		"user":                       "",
	} {
		fs, err := handler.ParseFilters(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := QueriesOnly(fs); len(got) > 0 && got.String() != want || len(got) == 0 && want != "" {
			t.Errorf("queriesOnly(%s) = %v, want %s", in, got, want)
		}
	}
}

// What fails again and again is told ever less often, with a count.
func TestFailingHandlersAreToldSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, log := testkit.NewLog()
		p := posterFunc(func(context.Context, *handler.Event) (target.Response, error) {
			return target.Response{}, errors.New("refused")
		})
		r := NewQueryRunner("gw", every, p, logger, nil)
		for range 20 {
			r.run(t.Context(), Task{&serf.Query{LTime: 3, Name: "ask"}, time.Now().Add(time.Minute)})
			time.Sleep(time.Second)
		}
		if got := log.Count("query was not answered"); got != 5 { // after 0, 1, 3, 7 and 15 s
			t.Errorf("20 failures in 20 s make %d lines, want 5:\n%s", got, log)
		}
		if log.Count("query was not answered", "lines_left_out=7") != 1 {
			t.Errorf("what was left out is not told:\n%s", log)
		}
	})
}
