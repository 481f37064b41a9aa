package rpc

import (
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/logs"
	"agentctl/rpcclient/wire"
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
		p := servePipes(t, &fakeAgent{}, Config{maxStreams: 2})
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

// All connections of a client share its places for streams, and all clients share those
// of the server. What ends gives its place back: a stop, a query's end, the connection's.
func TestStreamsOverConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := servePipes(t, &fakeAgent{}, Config{streamsEach: 3, streamsAll: 4})
		one, two := p.dial(t).handshake(), p.dial(t).handshake()
		stream := one.send(wire.Stream, wire.StreamRequest{})
		one.answer(stream)
		one.must(wire.Monitor, wire.MonitorRequest{LogLevel: "ERR"}, nil)
		two.must(wire.Stream, wire.StreamRequest{}, nil)
		if got := two.call(wire.Stream, wire.StreamRequest{}, nil); got != errStreamsTaken.Error() {
			t.Errorf("a fourth stream of a client: %q", got)
		}
		ours, theirs := net.Pipe()
		p.conns <- elsewhere{theirs}
		other := newClient(t, ours).handshake()
		other.must(wire.Stream, wire.StreamRequest{}, nil)
		if got := other.call(wire.Stream, wire.StreamRequest{}, nil); got != errStreamsTaken.Error() {
			t.Errorf("a fifth stream of all: %q", got)
		}
		one.must(wire.Stop, wire.StopRequest{Stop: stream}, nil)
		other.must(wire.Stream, wire.StreamRequest{}, nil)
		ours.Close()
		synctest.Wait()
		two.must(wire.Stream, wire.StreamRequest{}, nil)
		if got := two.call(wire.Stream, wire.StreamRequest{}, nil); got != errStreamsTaken.Error() {
			t.Errorf("again a fourth stream of a client: %q", got)
		}
	})
}

// A query has an ID of its own on each connection.
func TestQueryIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeAgent{}
		p := servePipes(t, a, Config{})
		one, two := p.dial(t).handshake(), p.dial(t).handshake()
		one.must(wire.Stream, wire.StreamRequest{Type: "query:first,query:second"}, nil)
		two.must(wire.Stream, wire.StreamRequest{Type: "query:second"}, nil)
		a.emit(&serf.Query{Name: "first"})
		a.emit(&serf.Query{Name: "second"})
		if got := two.record(2).ID; got != 1 {
			t.Errorf("ID %d", got)
		}
		for want := range uint64(2) {
			if got := one.record(2).ID; got != want+1 {
				t.Errorf("ID %d", got)
			}
		}
	})
}

// Records are held back from when a command has begun to collect them until its
// answer is queued.
func TestHeldBack(t *testing.T) {
	a := &fakeAgent{}
	s := New(backend(a), Config{})
	for name, open := range map[string]func(*session) error{
		"stream": func(c *session) error { _, err := c.stream(request[wire.StreamRequest]{}); return err },
		"monitor": func(c *session) error {
			_, err := c.startMonitor(request[wire.MonitorRequest]{body: wire.MonitorRequest{LogLevel: "INFO"}})
			return err
		},
	} {
		c := &session{Server: s, out: newOutbox(1, s.cfg.queueBytes)}
		if err := open(c); err != nil {
			t.Fatal(err)
		}
		a.emit(userEvent(1))
		a.log("x [INFO] line")
		if got, _ := c.out.take(nil); len(got) > 0 {
			t.Errorf("%s: written before the answer: %q", name, got)
		}
		c.then()
		if got, _ := c.out.take(nil); len(got) == 0 {
			t.Errorf("%s: lost", name)
		}
		c.out.close()
	}
	if len(s.hub.streams) != 0 || a.subscriptions() != 0 {
		t.Error("subscriptions are left")
	}
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

// The agent hears which lines a monitor wants, since it does not make all of
// them for nobody.
func TestMonitorTellsItsLevel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeAgent{}
		p := servePipes(t, a, Config{})
		for _, level := range []string{"TRACE", "debug", "Info", "WARN", "eRR"} {
			p.dial(t).handshake().must(wire.Monitor, wire.MonitorRequest{LogLevel: level}, nil)
		}
		want := []slog.Level{logs.LevelTrace, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
		if !slices.Equal(a.logLevels, want) {
			t.Errorf("subscribed to %v, want %v", a.logLevels, want)
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
