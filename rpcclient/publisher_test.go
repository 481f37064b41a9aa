package rpcclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"agentctl/rpcclient/wire"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/loopback"
)

func publisher(t *testing.T, addr, key string) *Publisher {
	p := NewPublisher(PublisherConfig{
		Config:     Config{Addr: addr, AuthKey: key},
		MinBackoff: time.Microsecond, MaxBackoff: time.Millisecond,
	})
	t.Cleanup(func() { p.Close() })
	return p
}

func (p *Publisher) try(ctx context.Context, name string) error {
	return p.Publish(ctx, name, nil, false)
}

func TestPublisherDialsAgain(t *testing.T) {
	var connections atomic.Int32
	addr := listen(t, func(_ int, p *peer) {
		connections.Add(1)
		p.greet()
		for range 2 {
			p.answer(p.want(wire.Event, nil), "", nil)
		}
	})
	p := publisher(t, addr, "")
	for i := range 6 {
		if err := p.try(t.Context(), fmt.Sprint(i)); err != nil {
			t.Fatal(i, err)
		}
		if i%2 == 1 {
			<-p.current.client.Done() // else the next could be lost
		}
	}
	if n := connections.Load(); n != 3 {
		t.Errorf("%d connections for 6 events", n)
	}
}

func TestPublisherNeverSendsTwice(t *testing.T) {
	var got []string
	addr := listen(t, func(_ int, p *peer) {
		p.greet()
		var e wire.EventRequest
		seq := p.want(wire.Event, &e)
		got = append(got, e.Name)
		if e.Name == "answered" {
			p.answer(seq, "", nil)
		}
	})
	p := publisher(t, addr, "")
	wantKind(t, p.try(t.Context(), "lost"), "lost", errConnClosed)
	if err := p.try(t.Context(), "answered"); err != nil {
		t.Error(err)
	}
	p.Close()
	if fmt.Sprint(got) != "[lost answered]" {
		t.Errorf("the agent got %q", got)
	}
}

func TestPublisherSendsUnsentAgain(t *testing.T) {
	// Closed right after the handshake, so that the event's request may find
	// the connection closed, half-closed or gone; only where it surely was not
	// written may it be written to the next.
	var got atomic.Int32
	addr := listen(t, func(n int, p *peer) {
		p.greet()
		if n%2 == 0 {
			return
		}
		seq := p.want(wire.Event, nil)
		got.Add(1)
		p.answer(seq, "", nil)
	})
	p := publisher(t, addr, "")
	var published int32
	for range 100 {
		switch err := p.try(t.Context(), "x"); kind(err) {
		case "ok":
			published++
		case "lost": // possible, and told
		default:
			t.Fatal(err)
		}
	}
	p.Close()
	if published != got.Load() || published == 0 {
		t.Errorf("%d published, %d arrived", published, got.Load())
	}
}

func TestPublisherWaitsForAgent(t *testing.T) {
	addr := loopback.Addr()
	p := publisher(t, addr, "")

	attempts := func(n int) {
		t.Helper()
		testkit.WaitFor(t, fmt.Sprint(n, " attempts"), func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.attempts >= n
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() { failed <- p.try(ctx, "x") }()
	attempts(2) // so the first has failed
	cancel()
	err := <-failed
	wantKind(t, err, "not sent", context.Canceled)
	if de, ok := errors.AsType[*DialError](err); !ok || de.Addr != addr {
		t.Errorf("%v does not tell why", err)
	}

	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := p.try(t.Context(), "x"); err != nil {
				t.Error(err)
			}
		})
	}
	attempts(8)
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var agent sync.WaitGroup
	agent.Go(func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		a := newPeer(t, conn)
		a.greet()
		for range 8 {
			a.answer(a.want(wire.Event, nil), "", nil)
		}
		a.drain()
	})
	wg.Wait()
	if p.attempts != 0 {
		t.Errorf("%d attempts counted after an answer", p.attempts)
	}
	p.Close()
	agent.Wait()
}

func TestPublisherPipelines(t *testing.T) {
	const n = 8
	addr := listen(t, func(_ int, p *peer) {
		p.greet()
		var seqs []uint64
		for range n { // none is answered before all are there
			seqs = append(seqs, p.want(wire.Event, nil))
		}
		for _, seq := range seqs {
			p.answer(seq, "", nil)
		}
		p.drain()
	})
	p := publisher(t, addr, "")
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if err := p.try(t.Context(), "x"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	p.Close()
}

func TestPublisherReturnsRefusals(t *testing.T) {
	addr := listen(t, func(n int, p *peer) {
		hello, key := p.want(wire.Handshake, nil), p.want(wire.Auth, nil)
		p.answer(hello, "", nil)
		if n == 0 {
			p.answer(key, wire.ErrInvalidAuthToken, nil)
			p.drain()
			return
		}
		p.answer(key, "", nil)
		p.answer(p.want(wire.Event, nil), "too large", nil)
		p.drain()
	})
	p := publisher(t, addr, "key")
	wantKind(t, p.try(t.Context(), "x"), "remote", ErrInvalidAuthToken)
	wantKind(t, p.try(t.Context(), "x"), "remote")
	p.Close()
}

func TestPublisherClose(t *testing.T) {
	asked := make(chan bool)
	addr := listen(t, func(_ int, p *peer) {
		p.greet()
		p.want(wire.Event, nil)
		close(asked)
		p.drain()
	})
	p := publisher(t, addr, "")
	failed := make(chan error, 1)
	go func() { failed <- p.try(t.Context(), "x") }()
	<-asked
	p.Close()
	p.Close()
	wantKind(t, <-failed, "lost", ErrClosed)
	wantKind(t, p.try(t.Context(), "x"), "not sent", ErrClosed)

	idle := publisher(t, addr, "")
	idle.Close()
	wantKind(t, idle.try(t.Context(), "x"), "not sent", ErrClosed)
}

func TestPublisherBackoff(t *testing.T) {
	p := NewPublisher(PublisherConfig{MinBackoff: 10, MaxBackoff: 1000})
	defer p.Close()
	if d := p.backoff(); d != 0 {
		t.Errorf("the first attempt waits %v", d)
	}
	for attempts, bound := range map[int]time.Duration{1: 10, 2: 20, 5: 160, 7: 640, 8: 1000, 1000: 1000} {
		p.attempts = attempts
		var most time.Duration
		for range 10000 {
			most = max(most, p.backoff())
		}
		if most > bound || most < bound*9/10 {
			t.Errorf("after %d attempts up to %d, want %d", attempts, most, bound)
		}
	}
}
