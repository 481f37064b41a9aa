package ops

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/api"
	"agentctl/agent/durable"
	"agentctl/agent/publish"
	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// floods are what clients send that hold connections, each as often as it says.
var floods = map[string]struct {
	clients int
	send    string
}{
	"silent connections":       {clients: 300},
	"slow headers":             {300, "GET /v1/status HT"},
	"a request, and then none": {300, "GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n"},
	"many probes":              {300, "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"},
	"followers":                {1000, "GET /v1/events?follow=1 HTTP/1.1\r\nHost: localhost\r\n\r\n"},
	"waits for nodes":          {300, "GET /v1/events/1-a/nodes?wait=20s HTTP/1.1\r\nHost: localhost\r\n\r\n"},
	"durable publishes":        {300, "POST /v1/events?name=x&durable=1&wait=20s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\nContent-Length: 1\r\n\r\nx"},
	"slow bodies":              {300, "POST /v1/events?name=x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\nContent-Length: 100\r\n\r\nx"},
	"slow batches":             {300, "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nContent-Length: 100\r\n\r\n{"},
	"clients that do not read": {300, "GET /v1/events?name=large HTTP/1.1\r\nHost: localhost\r\n\r\n"},
}

// A probe is answered at once, whatever others hold, and though they have its address.
func TestFloodsDoNotHoldUpProbes(t *testing.T) {
	for name, flood := range floods {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newServed(t)
				for range flood.clients {
					s.dial(t, flood.send)
				}
				for range 3 {
					synctest.Wait()
					began := time.Now()
					for _, path := range []string{"/healthz", "/readyz"} {
						if status, err := s.get(t, path); status != http.StatusOK {
							t.Errorf("%s: %d, %v", path, status, err)
						}
					}
					if took := time.Since(began); took != 0 {
						t.Errorf("the answers took %v", took)
					}
					s.dial(t, flood.send) // it goes on
				}
				if most := s.most.Load(); most > api.MaxConns+1 { // one is accepted before another ends
					t.Errorf("%d connections at a time, want %d", most, api.MaxConns)
				}
				if n := s.log.Count("http: too many connections or requests"); n == 0 || n > 10 {
					t.Errorf("%d lines of the log", n)
				}
			})
		})
	}
}

// What works is left alone: a follower of long standing goes on beside floods.
func TestFloodsDoNotEndFollowers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServed(t)
		follower := follow(t, "http://"+s.Addr().String(), "&name=n")
		for _, flood := range floods {
			for range flood.clients {
				s.dial(t, flood.send)
			}
		}
		synctest.Wait()
		if err := s.cfg.Journal.Append(userEvent(2, "n")); err != nil {
			t.Fatal(err)
		}
		follower.want("2")
	})
}

// served is a server that is run, and publishes nothing durably.
type served struct {
	*Server
	*countingListener
	log     *testkit.LogBuffer
	batches publisher
}

func (s *served) Addr() net.Addr { return s.countingListener.Addr() }

func newServed(t *testing.T) *served {
	t.Helper()
	j := journal.New(journal.Config{})
	// More than what fits on the way to who does not read.
	if err := j.Append(handler.NewUser(1, "large", bytes.Repeat([]byte("x"), 1<<20), time.Time{})); err != nil {
		t.Fatal(err)
	}
	s := &served{countingListener: &countingListener{Listener: memory.Listen(t)}}
	c := testConfig(j)
	c.MaxEvent = 512
	c.Logger, s.log = testkit.NewLog()
	rpc := memory.Listen(t)
	c.RPCAddr = rpc.Addr()
	c.Dial = func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() { // what a server answers to a handshake
			go io.WriteString(theirs, "\x82\xa5Error\xa0\xa3Seq\x01")
			io.Copy(io.Discard, theirs) // until the probe goes
			theirs.Close()
		}()
		return ours, nil
	}
	c.Others = &Others{
		Peers:  &fakePeers{asked: map[string]time.Time{}},
		Living: func() []serf.Member { return []serf.Member{{Name: "unasked", Status: serf.StatusAlive}} },
	}
	c.Publish = func(ctx context.Context, n int, _ string, _ []byte, _ bool) (sent publish.Sent, r durable.Report, err error) {
		if n > 0 {
			<-ctx.Done()
		}
		return sent, durable.Report{Wanted: n, Have: []string{}}, nil
	}
	c.PublishAll = s.batches.publishAll
	s.Server = New(s.countingListener, c)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		rpc.Close()
		j.Close()
	})
	return s
}

// dial connects, and sends what of it the server reads.
func (s *served) dial(t *testing.T, send string) {
	t.Helper()
	conn, err := memory.Network(t).Dial(t.Context(), "", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go io.WriteString(conn, send)
}

// get asks for a path by a connection of its own.
func (s *served) get(t *testing.T, path string) (status int, err error) {
	conn, err := memory.Network(t).Dial(t.Context(), "", s.Addr().String())
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(testkit.Patience))
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return resp.StatusCode, nil
}

// countingListener counts the connections that are open. http.Server tells of a
// closed one too late for that: when the next has been let in.
type countingListener struct {
	net.Listener
	now, most atomic.Int64 // most is written by Accept alone
}

func (l *countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.most.Store(max(l.most.Load(), l.now.Add(1)))
	return &countedConn{Conn: conn, closed: sync.OnceFunc(func() { l.now.Add(-1) })}, nil
}

type countedConn struct {
	net.Conn
	closed func()
}

func (c *countedConn) Close() error {
	c.closed()
	return c.Conn.Close()
}
