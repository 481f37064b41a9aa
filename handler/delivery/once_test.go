package delivery

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler"
	"agentctl/handler/target"
	"agentctl/scripts/testkit"
)

var anyTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestDeliver(t *testing.T) {
	var n atomic.Int64
	s := testkit.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) < 3 {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	p := httpPoster(t, target.Target{URL: s.URL, MinBackoff: 1, MaxBackoff: 1, Timeout: time.Minute})
	e := handler.NewUser(1, "kong", []byte("x"), anyTime)
	if err := Deliver(t.Context(), p, &e); err != nil || n.Load() != 3 {
		t.Errorf("%v after %d attempts", err, n.Load())
	}
}

func TestDeliverGivesUp(t *testing.T) {
	gateway := target.Target{Name: "gw", MinBackoff: time.Second, MaxBackoff: time.Second}
	e := handler.NewUser(1, "kong", nil, anyTime)
	try := func(t *testing.T, answer func(context.Context, *handler.Event, int) error) (*deliverError, error) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := deliver(ctx, &fakePoster{answer: answer}, gateway, &e, nil)
		derr, ok := errors.AsType[*deliverError](err)
		if !ok || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), e.ID) || !strings.Contains(err.Error(), "gw") {
			t.Fatalf("%v", err)
		}
		return derr, err
	}
	t.Run("refused for good", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			derr, err := try(t, func(_ context.Context, _ *handler.Event, attempt int) error {
				if attempt == 1 {
					return refused
				}
				return &target.PostError{Class: target.Bury, Status: 400, Body: []byte("bad\nJSON")}
			})
			perr, ok := errors.AsType[*target.PostError](err)
			if derr.attempts != 2 || !ok || perr.Status != 400 || errors.Is(err, context.DeadlineExceeded) ||
				!strings.Contains(err.Error(), `after 2 attempts: answered 400 Bad Request: bad\nJSON`) {
				t.Errorf("%v", err)
			}
		})
	})
	t.Run("ends while it waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			derr, err := try(t, func(context.Context, *handler.Event, int) error { return refused })
			if derr.attempts < 60 || derr.took != time.Minute || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, refused) ||
				!strings.Contains(err.Error(), "in 1m0s") || !strings.Contains(err.Error(), "connection refused") {
				t.Errorf("%v", err)
			}
		})
	})
	t.Run("ends in the first attempt", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			derr, err := try(t, func(ctx context.Context, _ *handler.Event, _ int) error { <-ctx.Done(); return ctx.Err() })
			if derr.attempts != 0 || derr.last != nil || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v", err)
			}
		})
	})
}
