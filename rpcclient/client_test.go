package rpcclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/rpcclient/wire"
	"agentctl/scripts/testkit/loopback"
)

// bubble runs f with fake time; all its goroutines must end.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func TestDialPipelinesHandshakeAndAuth(t *testing.T) {
	var auth wire.AuthRequest
	addr := listen(t, func(_ int, p *peer) {
		hello := p.want(wire.Handshake, nil)
		key := p.want(wire.Auth, &auth) // before anything is answered
		p.answer(hello, "", nil)
		p.answer(key, "", nil)
		p.answer(p.want(wire.Event, nil), "", nil)
		p.drain()
	})
	c, err := Dial(t.Context(), Config{Addr: addr, AuthKey: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := event(t.Context(), c); err != nil {
		t.Error(err)
	}
	if auth.AuthKey != "secret" {
		t.Errorf("the agent got key %q", auth.AuthKey)
	}
}

func TestDialUnixSocket(t *testing.T) {
	path := t.TempDir() + "/s"
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		p := newPeer(t, conn)
		p.greet()
		p.drain()
	})
	c, err := Dial(t.Context(), Config{Addr: "unix:" + path})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestDialErrors(t *testing.T) {
	free := loopback.Addr()
	refuse := func(text string) func(int, *peer) {
		return func(_ int, p *peer) {
			hello, key := p.want(wire.Handshake, nil), p.want(wire.Auth, nil)
			p.answer(hello, "", nil)
			p.answer(key, text, nil)
			p.drain()
		}
	}
	for _, tt := range []struct {
		name, addr string
		want       []string
		is         error
	}{
		{"nobody listens", free, []string{"connection refused", "is the agent running", "-rpc-addr"}, nil},
		{"no such socket", "unix:/does/not/exist", []string{"no such file", "is the agent running"}, nil},
		{"wrong key", listen(t, refuse(wire.ErrInvalidAuthToken)), []string{"Invalid authentication token", "-rpc-auth"}, ErrInvalidAuthToken},
		{"other version", listen(t, func(_ int, p *peer) {
			p.answer(p.want(wire.Handshake, nil), wire.ErrUnsupportedVersion, nil)
			p.drain()
		}), []string{"Unsupported IPC version"}, ErrUnsupportedVersion},
		{"closes", listen(t, func(_ int, p *peer) { p.want(wire.Handshake, nil) }), []string{"-rpc-addr of a serf agent?"}, nil},
		{"HTTP server", listen(t, func(_ int, p *peer) {
			p.want(wire.Handshake, nil)
			io.WriteString(p.conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
			p.drain()
		}), []string{"-rpc-addr of a serf agent?"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Dial(t.Context(), Config{Addr: tt.addr, AuthKey: "x"})
			de, ok := errors.AsType[*DialError](err)
			if !ok || de.Addr != tt.addr || !errors.Is(err, ErrNotSent) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Fatalf("%#v", err)
			}
			text := err.Error()
			for _, want := range append(tt.want, tt.addr) {
				if !strings.Contains(text, want) || strings.Contains(text, "\n") {
					t.Errorf("%q does not contain %q", text, want)
				}
			}
		})
	}
}

func TestDialHonoursContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	addr := listen(t, func(_ int, p *peer) {
		p.want(wire.Handshake, nil)
		cancel() // instead of an answer
		p.drain()
	})
	if _, err := Dial(ctx, Config{Addr: addr}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestAnswersFindTheirCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n = 50
		c := play(t, Config{}, func(p *peer) {
			type request struct {
				seq  uint64
				node string
			}
			var got []request
			for range n {
				var r wire.CoordinateRequest
				seq := p.want(wire.GetCoordinate, &r)
				got = append(got, request{seq, r.Node})
			}
			for i := range got { // the last first
				r := got[n-1-i]
				p.answer(r.seq, "", wire.CoordinateResponse{Coord: wire.Coordinate{Vec: []float64{float64(len(r.node))}}, Ok: true})
			}
			p.drain()
		})
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				coord, ok, err := c.Coordinate(t.Context(), strings.Repeat("x", i))
				if err != nil || !ok || coord.Vec[0] != float64(i) {
					t.Errorf("call %d: %v %v %v", i, coord, ok, err)
				}
			})
		}
		wg.Wait()
	})
}

func TestCancelledCallLeavesConnectionUsable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := play(t, Config{}, func(p *peer) {
			first := p.want(wire.Members, nil)
			cancel()
			second := p.want(wire.Members, nil)
			p.answer(first, "", wire.MembersResponse{Members: []wire.Member{{Name: "old"}}})
			p.answer(second, "", wire.MembersResponse{Members: []wire.Member{{Name: "new"}}})
			p.drain()
		})
		_, err := c.Members(ctx)
		wantKind(t, err, "lost", context.Canceled)
		got, err := c.Members(t.Context())
		if err != nil || len(got) != 1 || got[0].Name != "new" {
			t.Error(got, err)
		}
		_, err = c.Members(ctx)
		wantKind(t, err, "not sent", context.Canceled)
		synctest.Wait() // a call is forgotten a moment after its answer is handed over
		if n := waiting(c); n != 0 {
			t.Errorf("%d calls are still kept", n)
		}
	})
}

func TestCancelTakesQueuedRequestBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		read := make(chan struct{})
		c := play(t, Config{Timeout: time.Hour}, func(p *peer) {
			<-read
			var e wire.EventRequest
			p.answer(p.want(wire.Event, &e), "", nil)
			if e.Name != "first" {
				t.Errorf("event %q", e.Name)
			}
			p.answer(p.want(wire.Event, &e), "", nil)
			if e.Name != "third" {
				t.Errorf("event %q: a request that was taken back arrived", e.Name)
			}
			p.drain()
		})
		first := make(chan error, 1)
		go func() { first <- c.Event(t.Context(), "first", nil, false) }()
		synctest.Wait() // writeLoop is stuck with it

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		payload := []byte("mine")
		err := c.Event(ctx, "second", payload, false)
		payload[0] = 'x' // the race detector watches: it is the caller's again
		wantKind(t, err, "not sent", context.DeadlineExceeded)

		close(read)
		if err := <-first; err != nil {
			t.Error(err)
		}
		if err := c.Event(t.Context(), "third", nil, false); err != nil {
			t.Error(err)
		}
		synctest.Wait() // a call is forgotten a moment after its answer is handed over
		if n := waiting(c); n != 0 {
			t.Errorf("%d calls are still kept", n)
		}
	})
}

func TestFullOutbox(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := play(t, Config{Timeout: time.Hour}, func(p *peer) {}) // reads nothing
		n := 1 + cap(c.outbox)                                     // one with writeLoop, and a full outbox
		queued := make(chan error, n)
		for range n {
			go func() { queued <- event(t.Context(), c) }()
			synctest.Wait()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wantKind(t, event(ctx, c), "not sent", context.DeadlineExceeded)
		if got := waiting(c); got != n {
			t.Errorf("%d calls are kept, want %d", got, n)
		}
		last := make(chan error, 1)
		go func() { last <- event(t.Context(), c) }()
		synctest.Wait()
		c.Close()
		wantKind(t, <-last, "not sent", ErrClosed)
		for range n {
			wantKind(t, <-queued, "not sent", ErrClosed)
		}
	})
}

func TestBrokenConnection(t *testing.T) {
	for _, tt := range []struct {
		name string
		part func(p *peer)
		want string
		text string
	}{
		{"closed with the request unread", func(p *peer) {}, "not sent", ""},
		{"closed after half the request", func(p *peer) { io.ReadFull(p.conn, make([]byte, 9)) }, "not sent", ""},
		{"closed after the request", func(p *peer) { p.want(wire.MembersFiltered, nil) }, "lost", "regular expression"},
		{"half a header", func(p *peer) {
			p.want(wire.MembersFiltered, nil)
			io.WriteString(p.conn, "\x82\xa3Seq")
		}, "lost", "unexpected EOF"},
		{"header without its body", func(p *peer) {
			p.answer(p.want(wire.MembersFiltered, nil), "", nil)
		}, "lost", "unexpected EOF"},
		{"half a body", func(p *peer) {
			p.answer(p.want(wire.MembersFiltered, nil), "", nil)
			io.WriteString(p.conn, "\x81\xa7Mem")
		}, "lost", "unexpected EOF"},
		{"unknown Seq", func(p *peer) {
			p.answer(p.want(wire.MembersFiltered, nil)+100, "", nil)
			p.drain()
		}, "lost", "answer to no request"},
		{"Seq 0", func(p *peer) {
			p.answer(p.want(wire.MembersFiltered, nil)*0, "", nil)
			p.drain()
		}, "lost", "answer to no request"},
		{"garbage", func(p *peer) {
			p.want(wire.MembersFiltered, nil)
			io.WriteString(p.conn, "\xc1\xc1\xc1")
			p.drain()
		}, "lost", "malformed"},
		{"a number for a header", func(p *peer) {
			p.want(wire.MembersFiltered, nil)
			io.WriteString(p.conn, "\x07")
			p.drain()
		}, "lost", "malformed"},
		{"4 GiB declared", func(p *peer) {
			p.answer(p.want(wire.MembersFiltered, nil), "", nil)
			io.WriteString(p.conn, "\x81\xa7Members\xc6\xff\xff\xff\xff")
			p.drain()
		}, "lost", "over the limit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := play(t, Config{}, func(p *peer) {
					tt.part(p)
					p.conn.Close()
				})
				_, err := c.MembersFiltered(t.Context(), wire.MembersFilteredRequest{Name: "a["})
				wantKind(t, err, tt.want)
				if !strings.Contains(err.Error(), tt.text) || !strings.Contains(err.Error(), "test:1") {
					t.Errorf("%v: no %q", err, tt.text)
				}
				<-c.Done()
				wantKind(t, event(t.Context(), c), "not sent", c.Err())
			})
		})
	}
}

func TestWriteTimeout(t *testing.T) {
	for _, taken := range []int{0, 10} {
		t.Run(fmt.Sprint(taken, " bytes taken"), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := play(t, Config{Timeout: 3 * time.Second}, func(p *peer) {
					io.ReadFull(p.conn, make([]byte, taken))
				})
				begin := time.Now()
				wantKind(t, event(t.Context(), c), "not sent")
				if d := time.Since(begin); d != 3*time.Second {
					t.Errorf("failed after %v", d)
				}
			})
		})
	}
}

func TestRemoteErrors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := play(t, Config{}, func(p *peer) {
			p.answer(p.want(wire.Event, nil), "no such luck", nil)
			p.answer(p.want(wire.Join, nil), "1 error", wire.JoinResponse{Num: 2})
			seq := p.want(wire.Members, nil)
			p.answer(seq, wire.ErrAuthRequired, nil) // and no body
			seq = p.want(wire.InstallKey, nil)
			p.answer(seq, wire.ErrAuthRequired, nil)
			p.answer(seq, wire.ErrAuthRequired, nil) // its body, taken for a request
			p.answer(p.want(wire.Event, nil), "", nil)
			p.drain()
		})
		err := event(t.Context(), c)
		wantKind(t, err, "remote")
		if err.Error() != "no such luck" || errors.Is(err, ErrAuthRequired) {
			t.Error(err)
		}
		n, err := c.Join(t.Context(), []string{"a"}, false)
		wantKind(t, err, "remote")
		if n != 2 {
			t.Errorf("the body beside an error was not read: %d", n)
		}
		_, err = c.Members(t.Context())
		wantKind(t, err, "remote", ErrAuthRequired)
		if !strings.Contains(err.Error(), "-rpc-auth") {
			t.Error(err)
		}
		_, err = c.InstallKey(t.Context(), "key")
		wantKind(t, err, "remote", ErrAuthRequired)
		if err := event(t.Context(), c); err != nil {
			t.Error(err)
		}
	})
}

func TestClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := play(t, Config{}, func(p *peer) {
			p.want(wire.Event, nil)
			p.drain()
		})
		failed := make(chan error, 1)
		go func() { failed <- event(t.Context(), c) }()
		synctest.Wait()
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		wantKind(t, <-failed, "lost", ErrClosed)
		wantKind(t, event(t.Context(), c), "not sent", ErrClosed)
		if !errors.Is(c.Err(), ErrClosed) {
			t.Error(c.Err())
		}
	})
}
