package agent

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"

	"agentctl/agent/logs"
)

// BenchmarkPublish is what an agent does for an event that is published at it,
// with nobody else in the cluster and no handler that wants it.
func BenchmarkPublish(b *testing.B) {
	hub := logs.New(logs.Config{Out: io.Discard, Level: slog.LevelWarn})
	defer hub.Close()
	a, err := New(compiled(b, options(onLoopback)), hub, Hooks{})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		payload := fmt.Appendf(nil, `{"type":"ENTITY_UPDATED","collection":"apis","primary_key":["id"],"entity":{"id":"%d"}}`, i)
		if err := a.Publish(ctx, "kong", payload, false); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	cancel(ErrNoLeave)
	<-done
}
