package rpc

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/rpcclient/wire"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"
)

func userEvent(ltime uint64) serf.UserEvent {
	return serf.UserEvent{LTime: serf.LamportTime(ltime), Name: "kong", Payload: fmt.Appendf(nil, `{"n":%d}`, ltime)}
}

// record reads one record of a stream.
func (c *client) record(seq uint64) (r wire.StreamRecord) {
	c.t.Helper()
	if text := c.answer(seq); text != "" {
		c.t.Fatalf("a record with error %q", text)
	}
	c.read(&r)
	return r
}

func (c *client) line(seq uint64) string {
	c.t.Helper()
	if text := c.answer(seq); text != "" {
		c.t.Fatalf("a line with error %q", text)
	}
	var r wire.LogRecord
	c.read(&r)
	return r.Log
}

func TestStreamRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeAgent{}
		c := servePipes(t, a, Config{}).dial(t).handshake()
		seq := c.send(wire.Stream, wire.StreamRequest{Type: "user:kong,member-failed,query"})
		c.answer(seq)
		a.emit(serf.UserEvent{LTime: 7, Name: "kong", Payload: []byte("a\x00\xff"), Coalesce: true})
		a.emit(serf.UserEvent{LTime: 8, Name: "deploy"})
		a.emit(serf.MemberEvent{Type: serf.EventMemberJoin, Members: []serf.Member{{Name: "n1"}}})
		a.emit(serf.MemberEvent{Type: serf.EventMemberFailed, Members: []serf.Member{{
			Name: "n1", Addr: []byte{127, 0, 0, 1}, Port: 7946, Tags: map[string]string{"role": "web"},
			Status: serf.StatusFailed, ProtocolMin: 1, ProtocolMax: 5, ProtocolCur: 2, DelegateMin: 2, DelegateMax: 5, DelegateCur: 4,
		}}})
		a.emit(&serf.Query{LTime: 3, Name: "ask", Payload: []byte("what")})
		want := []wire.StreamRecord{
			{Event: "user", LTime: 7, Name: "kong", Payload: []byte("a\x00\xff"), Coalesce: true},
			{Event: "member-failed", Members: []wire.Member{{
				Name: "n1", Addr: []byte{127, 0, 0, 1}, Port: 7946, Tags: map[string]string{"role": "web"},
				Status: "failed", ProtocolMin: 1, ProtocolMax: 5, ProtocolCur: 2, DelegateMin: 2, DelegateMax: 5, DelegateCur: 4,
			}}},
			{Event: "query", ID: 1, LTime: 3, Name: "ask", Payload: []byte("what")},
		}
		for _, w := range want {
			if diff := cmp.Diff(w, c.record(seq)); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
		}
	})
}

func TestStreamRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := servePipes(t, &fakeAgent{}, Config{MaxStreams: 2})
		c := p.dial(t).handshake()
		for _, filter := range []string{"nonsense", "user:x,*,", "member", strings.Repeat("user,", 2000) + "user"} {
			if got := c.call(wire.Stream, wire.StreamRequest{Type: filter}, nil); got != wire.ErrInvalidFilter {
				t.Errorf("filter %.20q: %q", filter, got)
			}
		}
		if got := c.call(wire.Monitor, wire.MonitorRequest{LogLevel: "loud"}, nil); got != "Unknown log level: LOUD" {
			t.Errorf("%q", got)
		}
		c.seq = 40
		c.must(wire.Stream, wire.StreamRequest{}, nil)
		c.seq = 40
		if got := c.call(wire.Stream, wire.StreamRequest{}, nil); got != wire.ErrStreamExists {
			t.Errorf("same Seq: %q", got)
		}
		monitor := c.send(wire.Monitor, wire.MonitorRequest{LogLevel: "eRR"})
		if got := c.answer(monitor); got != "" {
			t.Errorf("monitor: %q", got)
		}
		if got := c.call(wire.Monitor, wire.MonitorRequest{LogLevel: "ERR"}, nil); got != wire.ErrMonitorExists {
			t.Errorf("second monitor: %q", got)
		}
		if got := c.call(wire.Stream, wire.StreamRequest{}, nil); got != errTooManyStreams.Error() {
			t.Errorf("third stream: %q", got)
		}
		c.must(wire.Stop, wire.StopRequest{Stop: monitor}, nil)
		c.must(wire.Stop, wire.StopRequest{Stop: 999}, nil) // serf does not mind
		c.must(wire.Monitor, wire.MonitorRequest{LogLevel: "ERR"}, nil)
	})
}

// What happens while a stream is being opened comes after its answer, and is
// not lost.
func TestNoRecordBeforeTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeAgent{recentLogs: []string{"2026/11/23 10:00:00 [INFO] one", "x [DEBUG] two", "x [WARN] three"}}
		a.onLogs = func() { synctest.Wait() } // all that could be written by now would be
		c := servePipes(t, a, Config{}).dial(t).handshake()
		seq := c.send(wire.Monitor, wire.MonitorRequest{LogLevel: "info"})
		if got := c.answer(seq); got != "" {
			t.Fatal(got)
		}
		for _, want := range []string{a.recentLogs[0], a.recentLogs[2]} {
			if got := c.line(seq); got != want {
				t.Errorf("line %q, want %q", got, want)
			}
		}
	})
}

// The answer to a stream is the first thing under its Seq and no event after
// it, in the server's order of things, is missing.
func TestStreamStartsWithoutAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeAgent{}
		p := servePipes(t, a, Config{})
		stop := make(chan struct{})
		done := make(chan uint64)
		go func() {
			for n := uint64(1); ; n++ {
				select {
				case <-stop:
					done <- n - 1
					return
				default:
					a.emit(userEvent(n))
				}
			}
		}()
		for range 50 {
			c := p.dial(t).handshake()
			seq := c.send(wire.Stream, wire.StreamRequest{})
			if got := c.answer(seq); got != "" {
				t.Fatal(got)
			}
			first := c.record(seq).LTime
			for i := range uint64(20) {
				if got := c.record(seq).LTime; got != first+i+1 {
					t.Fatalf("%d follows %d", got, first+i)
				}
			}
			c.conn.Close()
		}
		close(stop)
		if n := <-done; n < 1000 {
			t.Errorf("only %d events", n)
		}
	})
}

func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeAgent{}
		c := servePipes(t, a, Config{}).dial(t).handshake()
		one := c.send(wire.Stream, wire.StreamRequest{})
		c.answer(one)
		two := c.send(wire.Stream, wire.StreamRequest{})
		c.answer(two)
		for n := range uint64(100) { // more than are on their way when the stop comes
			a.emit(userEvent(n))
		}
		stop := c.send(wire.Stop, wire.StopRequest{Stop: one})
		stopped := false
		next := uint64(0)
		for next < 100 || !stopped {
			var h wire.ResponseHeader
			c.read(&h)
			if h.Seq == stop {
				stopped = true
				continue
			}
			var r wire.StreamRecord
			c.read(&r)
			switch {
			case h.Seq == one && stopped:
				t.Fatal("a record of the stopped stream came after the answer to stop")
			case h.Seq == two && r.LTime != next:
				t.Fatalf("the other stream has %d, not %d", r.LTime, next)
			case h.Seq == two:
				next++
			}
		}
		a.emit(userEvent(100))
		if got := c.record(two); got.LTime != 100 {
			t.Errorf("record %+v", got)
		}
	})
}

// A client that does not read loses the newest events, counted and logged; what
// it gets is in order. Another client loses nothing.
func TestOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		reg := prometheus.NewRegistry()
		a := &fakeAgent{}
		p := servePipes(t, a, Config{StreamQueue: 100, Metrics: reg, Logger: slog.New(slog.NewTextHandler(&log, nil))})
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
		c := servePipes(t, a, Config{QueueBytes: 100 << 10, Metrics: reg}).dial(t).handshake()
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

// A monitor is told how many lines it lost, where it lost them, also when no
// other line follows.
func TestMonitorIsToldOfLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		a := &fakeAgent{}
		c := servePipes(t, a, Config{StreamQueue: 80, Metrics: reg}).dial(t).handshake()
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
		c := servePipes(t, a, Config{StreamQueue: 8, Logger: logger, WriteTimeout: time.Hour}).dial(t).handshake()
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
		if n := a.subscriptions(); n != 1 { // the hub's own
			t.Errorf("%d subscriptions are left", n)
		}
	})
}
