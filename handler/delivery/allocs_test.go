package delivery

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/target"
)

// gatewayConn is a connection to a gateway that takes each request at once.
type gatewayConn struct {
	net.Conn
	answers chan struct{}
}

func (c gatewayConn) Write(p []byte) (int, error) {
	c.answers <- struct{}{}
	return len(p), nil
}

func (c gatewayConn) Read(p []byte) (int, error) {
	<-c.answers
	return copy(p, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), nil
}

func (gatewayConn) Close() error                { return nil }
func (gatewayConn) SetDeadline(time.Time) error { return nil }

// An event from the journal's Append to the gateway's answer does not come to cost more.
func TestAnEventAllocates(t *testing.T) {
	const most = 9
	synctest.Test(t, func(t *testing.T) {
		m := journal.New(journal.Config{})
		defer m.Close()
		d, err := New(Config{
			Target: target.Target{URL: "http://127.0.0.1:8001/cluster/events/"}, Journal: m,
			Dial: func(context.Context, string, string) (net.Conn, error) {
				return gatewayConn{answers: make(chan struct{}, 1)}, nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- d.Run(ctx) }()
		const runs = 1000
		events := make([]handler.Event, runs+1) // AllocsPerRun runs once more
		for i := range events {
			events[i] = handler.NewUser(uint64(i+1), "kong", payload300, time.Now())
		}
		next := 0
		if n := testing.AllocsPerRun(runs, func() {
			if err := m.Append(events[next]); err != nil {
				t.Error(err)
			}
			next++
			synctest.Wait()
		}); n > most {
			t.Errorf("an event takes %v allocations, at most %d are wanted", n, most)
		}
		if got := d.Status().Delivered; got != uint64(len(events)) {
			t.Errorf("%d events delivered, want %d", got, len(events))
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
