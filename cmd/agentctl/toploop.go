package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"agentctl/agent/api"
	"agentctl/cmd/agentctl/screen"
)

const (
	// topPause is the time between an answer and the next question.
	topPause = 2 * time.Second
	// topTimeout bounds one question.
	topTimeout = 15 * time.Second
	// topEvery is how often the screen may change without a key, and how soon it sees that its
	// size has changed.
	topEvery = 100 * time.Millisecond
	// topWaiting is how many events that waited are asked for again with each question.
	topWaiting = 10
	// topPage is how many events the stream begins with.
	topPage = 50
)

// terminal is what the loop draws on.
type terminal interface {
	Keys() <-chan screen.Key
	Size() (width, height int)
	Draw(lines []screen.Line, width, height int) error
}

// topSource asks an agent. Its methods may take long, and end with their context.
type topSource interface {
	cluster(ctx context.Context) (*api.ClusterReport, error)
	event(ctx context.Context, id string) (*api.EventReport, error)
	// follow hands over the newest events, or those after a sequence number if it is not 0,
	// and what comes. It hands over a line of nothing once the agent has answered, and returns
	// an error when the stream ends.
	follow(ctx context.Context, after uint64, each func(api.FollowedEvent)) error
}

// opsSource is an agent's operations endpoint.
type opsSource struct{ *opsClient }

func (s opsSource) cluster(ctx context.Context) (*api.ClusterReport, error) {
	var r api.ClusterReport
	return &r, s.get(ctx, "/v1/cluster", &r)
}

func (s opsSource) event(ctx context.Context, id string) (*api.EventReport, error) {
	var e api.EventReport
	return &e, s.get(ctx, "/v1/events/"+id, &e)
}

func (s opsSource) follow(ctx context.Context, after uint64, each func(api.FollowedEvent)) error {
	path := "/v1/events?follow=1&limit=" + strconv.Itoa(topPage)
	if after > 0 {
		path = "/v1/events?follow=1&after=" + strconv.FormatUint(after, 10)
	}
	body, err := s.open(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	each(api.FollowedEvent{})
	for dec := json.NewDecoder(body); ; {
		var line api.FollowedEvent
		if err := dec.Decode(&line); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return errors.New("the agent has ended the stream")
		} else if err != nil {
			return s.decoded(err)
		}
		each(line)
	}
}

// run shows the cluster until the user quits, the terminal goes or the context ends.
func (t *top) run(ctx context.Context, term terminal, source topSource) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// What asks the agent hands over here what is to be done with an answer, and waits for it.
	news := make(chan func())
	tell := func(what func()) {
		done := make(chan struct{})
		select {
		case news <- func() { what(); close(done) }:
			<-done
		case <-ctx.Done():
		}
	}
	go t.askCluster(ctx, source, tell)
	go t.askEvents(ctx, source, tell)
	tick := time.NewTicker(topEvery)
	defer tick.Stop()
	for {
		width, height := term.Size()
		drawn := time.Now()
		if err := term.Draw(t.view(width, height, drawn), width, height); err != nil {
			return err
		}
		// A key shows at once, an answer with the next tick, however many come.
		for changed, current := false, true; current; {
			select {
			case k, open := <-term.Keys():
				if t.key(k, width); t.quit || !open {
					return nil
				}
				current = false
			case what := <-news:
				what()
				changed = true
			case now := <-tick.C:
				w, h := term.Size()
				current = !changed && w == width && h == height && now.Sub(drawn) < time.Second
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// askCluster asks how the cluster is, again and again.
func (t *top) askCluster(ctx context.Context, source topSource, tell func(func())) {
	for ctx.Err() == nil {
		began := time.Now()
		var ids []string
		tell(func() { t.asked, ids = began, t.waiting(topWaiting) })
		within, cancel := context.WithTimeout(ctx, topTimeout)
		r, err := source.cluster(within)
		tell(func() { t.take(r, err) })
		for _, id := range ids {
			if e, err := source.event(within, id); err == nil { // else it is as it was
				tell(func() { t.event(e) })
			}
		}
		cancel()
		rest(ctx, topPause)
	}
}

// askEvents follows the events, again whenever the stream has ended.
func (t *top) askEvents(ctx context.Context, source topSource, tell func(func())) {
	after := uint64(0)
	for ctx.Err() == nil {
		err := source.follow(ctx, after, func(line api.FollowedEvent) {
			if line.EventReport != nil {
				after = line.Seq
			}
			tell(func() {
				if t.eventFailed = ""; line.EventReport != nil {
					t.event(line.EventReport)
				}
			})
		})
		tell(func() { t.eventFailed = err.Error() })
		rest(ctx, topPause)
	}
}

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
