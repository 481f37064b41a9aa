package agent

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"agentctl/agent/api"
	"agentctl/agent/config"
	"agentctl/agent/logs"
)

// BenchmarkPublish is what an agent does for an event that is published at it,
// with nobody else in the cluster and no handler that wants it.
func BenchmarkPublish(b *testing.B) {
	a := running(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := a.Publish(b.Context(), "kong", numbered(i), false); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPublishBatch is the same for each event of a batch that comes over HTTP, with
// the reading of its lines.
func BenchmarkPublishBatch(b *testing.B) {
	a := running(b)
	body, lines := io.Pipe()
	go func() {
		w := bufio.NewWriterSize(lines, 64<<10)
		for i := range b.N {
			fmt.Fprintf(w, "{\"name\":\"kong\",\"payload\":%q}\n", numbered(i))
		}
		w.Flush()
		lines.Close()
	}()
	b.ReportAllocs()
	b.ResetTimer()
	resp, err := http.Post("http://"+a.ops.Addr().String()+"/v1/events", api.ContentBatch, body)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	var report api.BatchReport
	if err := json.NewDecoder(resp.Body).Decode(&report); err != nil || report.Taken != b.N {
		b.Fatalf("%d of %d taken: %v %+v", report.Taken, b.N, err, report)
	}
}

// numbered is an event such as Kong publishes.
func numbered(i int) []byte {
	return fmt.Appendf(nil, `{"type":"ENTITY_UPDATED","collection":"apis","primary_key":["id"],"entity":{"id":"%d"}}`, i)
}

// running is an agent that runs until the benchmark ends.
func running(b *testing.B) *Agent {
	hub := logs.New(logs.Config{Out: io.Discard, Level: slog.LevelWarn})
	b.Cleanup(hub.Close)
	a, err := New(compiled(b, options(onLoopback, func(o *config.Options) { o.HTTPAddr = "127.0.0.1:0" })), hub, Hooks{})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	b.Cleanup(func() {
		cancel(ErrNoLeave)
		<-done
	})
	return a
}
