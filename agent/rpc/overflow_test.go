package rpc

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/rpcclient/wire"
)

// A client that does not read loses the newest events, counted and logged; what
// it gets is in order. Another client loses nothing.
func TestOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		reg := prometheus.NewRegistry()
		a := &fakeAgent{}
		p := servePipes(t, a, Config{streamQueue: 100, Metrics: reg, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		slow, fast := p.dial(t).handshake(), p.dial(t).handshake()
		seq := slow.send(wire.Stream, wire.StreamRequest{})
		slow.answer(seq)
		fast.answer(fast.send(wire.Stream, wire.StreamRequest{}))
		const n = 1000
		for i := range uint64(n) {
			a.emit(userEvent(i))
			if got := fast.record(2); got.LTime != i {
				t.Fatalf("the other client has %d, not %d", got.LTime, i)
			}
			synctest.Wait() // the first is being written when the others come
		}
		dropped := int(counter(t, reg, "agentctl_rpc_stream_dropped_total", kindEvent))
		if dropped != n-101 {
			t.Fatalf("%d of %d dropped with a queue of 100", dropped, n)
		}
		for i := range uint64(n - dropped) {
			if got := slow.record(seq); got.LTime != i {
				t.Fatalf("record %d has %d", i, got.LTime)
			}
		}
		a.emit(userEvent(n))
		if got := slow.record(seq); got.LTime != n {
			t.Errorf("after the gap: %d", got.LTime)
		}
		synctest.Wait()
		if want := fmt.Sprintf("dropped=%d", dropped); strings.Count(log.String(), want) != 1 {
			t.Errorf("log has no %s:\n%s", want, &log)
		}
	})
}

// All streams of a connection together keep to a number of bytes.
func TestOverflowInBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		a := &fakeAgent{}
		c := servePipes(t, a, Config{queueBytes: 100 << 10, Metrics: reg}).dial(t).handshake()
		for range 4 {
			c.must(wire.Stream, wire.StreamRequest{}, nil)
		}
		big := serf.UserEvent{Name: "big", Payload: make([]byte, 10<<10)}
		for range 100 {
			a.emit(big)
		}
		// Besides what waits, one batch is being written.
		queued := 400 - counter(t, reg, "agentctl_rpc_stream_dropped_total")
		if max := float64((100<<10 + 2*batchBytes) / (10 << 10)); queued > max || queued < 9 {
			t.Errorf("%v records of 10 KiB are queued, the limit allows %v", queued, max)
		}
	})
}

// All connections of a client together keep to a number of bytes, and so do all clients.
// A connection that reads what it gets loses nothing, of that client or another.
func TestOverflowOverConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const each, all = 1 << 20, 3 << 19
		a, p := &fakeAgent{}, newPipes()
		s, stop := serve(t, a, Config{queueEach: each, queueAll: all}, p)
		elsewhere := func() *client {
			ours, theirs := net.Pipe()
			p.conns <- elsewhere{theirs}
			return newClient(t, ours)
		}
		stream := func(c *client) *client {
			c.handshake().must(wire.Stream, wire.StreamRequest{}, nil)
			return c
		}
		const slow = 10
		for range slow {
			stream(p.dial(t))
		}
		emit := func(readers ...*client) {
			t.Helper()
			for i := range uint64(200) {
				e := userEvent(i)
				e.Payload = make([]byte, 10<<10)
				a.emit(e)
				for _, r := range readers {
					if got := r.record(r.seq); got.LTime != i {
						t.Fatalf("it has %d, not %d", got.LTime, i)
					}
				}
				synctest.Wait()
			}
		}
		// holds tells whether as much waits as may, but for what each has by itself.
		holds := func(most, conns int) {
			t.Helper()
			if n := int(s.queued.Load()); n > most+conns*batchBytes || n < most-(10<<10)-frameOverhead {
				t.Errorf("%d bytes wait, want %d", n, most)
			}
		}
		near, far := stream(p.dial(t)), stream(elsewhere())
		emit(near, far)
		holds(each, slow)
		for range slow {
			stream(elsewhere())
		}
		emit(near, far)
		holds(all, 2*slow)
		stop()
		if n := s.queued.Load(); n != 0 {
			t.Errorf("%d bytes are counted when all clients are gone", n)
		}
	})
}

// A monitor is told how many lines it lost, where it lost them, also when no
// other line follows.
func TestMonitorIsToldOfLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		a := &fakeAgent{}
		c := servePipes(t, a, Config{streamQueue: 80, Metrics: reg}).dial(t).handshake()
		seq := c.send(wire.Monitor, wire.MonitorRequest{LogLevel: "DEBUG"})
		c.answer(seq)
		const n = 100
		for i := range n {
			a.log(fmt.Sprintf("x [INFO] line %d", i))
			synctest.Wait() // the first is being written when the others come
		}
		lost := int(counter(t, reg, "agentctl_rpc_stream_dropped_total", kindLog))
		if lost != n-11 {
			t.Fatalf("%d of %d lost with a queue of 10", lost, n)
		}
		for i := range n - lost {
			if got, want := c.line(seq), fmt.Sprintf("x [INFO] line %d", i); got != want {
				t.Fatalf("%q, want %q", got, want)
			}
		}
		if got := c.line(seq); !strings.Contains(got, fmt.Sprintf("[WARN] agent.ipc: %d log lines are missing here", lost)) {
			t.Errorf("%q", got)
		}
		a.log("x [INFO] after")
		if got := c.line(seq); got != "x [INFO] after" {
			t.Errorf("%q", got)
		}
	})
}

// A monitor that is too slow does not make the server log more, with the log at
// its most verbose and going to the monitor itself.
func TestMonitorDoesNotFeedItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeAgent{}
		var lines int
		logger := slog.New(slog.NewTextHandler(countingWriter{a, &lines}, &slog.HandlerOptions{Level: slog.LevelDebug}))
		c := servePipes(t, a, Config{streamQueue: 8, Logger: logger, writeTimeout: time.Hour}).dial(t).handshake()
		c.answer(c.send(wire.Monitor, wire.MonitorRequest{LogLevel: "trace"}))
		before := lines
		for i := range 10 * 60 { // a line is read and ten more come, for ten minutes
			for range 10 {
				a.log("x [INFO] line")
			}
			if i > 0 {
				c.line(2)
			}
			time.Sleep(time.Second)
		}
		if got := lines - before; got > 61 || got < 2 {
			t.Errorf("the server logged %d lines in ten minutes", got)
		}
	})
}

type countingWriter struct {
	*fakeAgent
	n *int
}

func (w countingWriter) Write(p []byte) (int, error) {
	*w.n++
	return w.fakeAgent.Write(p)
}

// A client that reads nothing while events flow is cut after the write timeout.
func TestSlowReaderIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		a := &fakeAgent{}
		c := servePipes(t, a, Config{Metrics: reg}).dial(t).handshake()
		c.must(wire.Stream, wire.StreamRequest{}, nil)
		time.Sleep(time.Hour) // with nothing to write there is no deadline
		a.emit(userEvent(1))
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if counter(t, reg, "agentctl_rpc_clients") != 1 {
			t.Fatal("cut too early")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if counter(t, reg, "agentctl_rpc_clients") != 0 || counter(t, reg, "agentctl_rpc_rejected_total", rejectSlow) != 1 {
			t.Error("still connected")
		}
		if n := a.subscriptions(); n != 0 {
			t.Errorf("%d subscriptions are left", n)
		}
	})
}
