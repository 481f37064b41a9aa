package rpc

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/rpcclient/wire"
	"agentctl/scripts/testkit"
)

// Hundreds of clients open streams and monitors and are cut, in every way a
// client can go, while thousands of events flow. Those who stay miss nothing.
func TestVanishingClients(t *testing.T) {
	const (
		vanishing = 300
		staying   = 8
		events    = 4000
	)
	reg := prometheus.NewRegistry()
	a := &fakeAgent{publish: func(context.Context, string, []byte, bool) error { return nil }}
	s, dial := loopback(t, a, Config{Metrics: reg, streamQueue: events, queueBytes: 64 << 20, streamsEach: 4 * vanishing, streamsAll: 4 * vanishing})

	var wg sync.WaitGroup
	stayers := make([]*client, staying)
	for i := range stayers {
		c := newClient(t, dial()).handshake()
		c.answer(c.send(wire.Stream, wire.StreamRequest{Type: "user:kong"}))
		stayers[i] = c
	}
	for i, c := range stayers {
		wg.Go(func() {
			for n := range uint64(events) {
				var h wire.ResponseHeader
				var r wire.StreamRecord
				if err := c.r.Read(&h); err != nil {
					t.Errorf("client %d at event %d: %v", i, n, err)
					return
				}
				if err := c.r.Read(&r); err != nil || r.LTime != n || h.Seq != c.seq {
					t.Errorf("client %d: %+v %+v (%v) in place of event %d", i, h, r, err, n)
					return
				}
			}
		})
	}

	var gone atomic.Int64
	for range vanishing {
		wg.Go(func() {
			defer gone.Add(1)
			vanish(t, dial())
		})
	}
	n := uint64(0)
	for ; n < events; n++ {
		a.emit(userEvent(n))
		a.log("2026/11/23 10:00:00 [DEBUG] serf: something")
		if n%20 == 0 { // spread the events over the clients' lives, without a clock
			testkit.WaitFor(t, "clients to go", func() bool { return gone.Load() >= int64(n)*vanishing/events/2 })
		}
	}
	testkit.WaitFor(t, "the last clients to go", func() bool {
		a.emit(serf.UserEvent{Name: "other"}) // for those that have not read enough yet
		return gone.Load() == vanishing
	})
	wg.Wait()
	for _, c := range stayers {
		c.must(wire.Event, wire.EventRequest{Name: "x"}, nil)
		c.conn.Close()
	}
	testkit.WaitFor(t, "the server to forget all clients", func() bool { return counter(t, reg, "agentctl_rpc_clients") == 0 })
	if n := a.subscriptions(); n != 0 || len(s.hub.streams) != 0 {
		t.Errorf("%d subscriptions and %d streams are left", n, len(s.hub.streams))
	}
}

// vanish opens streams on conn and goes, at a random moment and in a random way.
func vanish(t *testing.T, conn net.Conn) {
	defer conn.Close()
	w, r := wire.NewWriter(conn), wire.NewReader(conn, wire.DefaultLimits)
	for i, req := range []struct {
		cmd  wire.Command
		body any
	}{
		{wire.Handshake, wire.HandshakeRequest{Version: 1}},
		{wire.Stream, wire.StreamRequest{}},
		{wire.Monitor, wire.MonitorRequest{LogLevel: "TRACE"}},
		{wire.Stream, wire.StreamRequest{Type: "user"}},
		{wire.Stop, wire.StopRequest{Stop: 1}},
		{wire.Event, wire.EventRequest{Name: "x"}},
	} {
		if err := w.Write(wire.RequestHeader{Command: req.cmd, Seq: uint64(i)}, req.body); err != nil {
			t.Errorf("the server cut a good client: %v", err)
			return
		}
	}
	for range rand.IntN(200) {
		if err := r.Read(nil); err != nil {
			t.Errorf("the server cut a good client: %v", err)
			return
		}
	}
	switch rand.IntN(3) {
	case 0: // a reset
		conn.(*net.TCPConn).SetLinger(0)
	case 1: // in the middle of a request
		w.Write(wire.RequestHeader{Command: wire.Event, Seq: 9}, nil)
	}
}

// An event for a thousand streams, none of which reads: what the agent pays.
func BenchmarkPublish(b *testing.B) {
	a := &fakeAgent{}
	s := New(backend(a), Config{})
	for range 1000 {
		c := &session{Server: s, out: newOutbox(1, s.cfg.queueBytes)}
		if _, err := c.stream(request[wire.StreamRequest]{}); err != nil {
			b.Fatal(err)
		}
	}
	for n := uint64(0); b.Loop(); n++ {
		a.emit(userEvent(n))
	}
}

// Events published over one connection, one after the other and pipelined.
func BenchmarkEvents(b *testing.B) {
	for name, ahead := range map[string]int{"sequential": 1, "pipelined": 64} {
		b.Run(name, func(b *testing.B) {
			_, dial := loopback(b, &fakeAgent{}, Config{})
			c := newClient(b, dial()).handshake()
			req := wire.EventRequest{Name: "kong", Payload: make([]byte, 300)}
			slots := make(chan uint64, ahead-1)
			var wg sync.WaitGroup
			if ahead > 1 {
				wg.Go(func() {
					for seq := range slots {
						c.answer(seq)
					}
				})
			}
			for b.Loop() {
				if seq := c.send(wire.Event, req); ahead > 1 {
					slots <- seq
				} else {
					c.answer(seq)
				}
			}
			close(slots)
			wg.Wait()
		})
	}
}
