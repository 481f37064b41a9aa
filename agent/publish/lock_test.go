package publish

import (
	"context"
	"testing"
	"testing/synctest"
)

// Nobody waits for an agent that has ended.
func TestAPublisherGivesUpWhenTheAgentStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := make(lock, 1)
		sending, stop := context.WithCancel(t.Context())
		if err := one.lock(t.Context(), sending); err != nil {
			t.Fatal(err)
		}
		waited := make(chan error, 1)
		go func() { waited <- one.lock(t.Context(), sending) }()
		synctest.Wait()
		stop()
		if err := <-waited; err != ErrStopping {
			t.Errorf("a publisher that waited for another one: %v", err)
		}
		one.unlock()
		if err := one.lock(t.Context(), sending); err != ErrStopping {
			t.Errorf("one that came later: %v", err)
		}
	})
}
