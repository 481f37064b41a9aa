//go:build linux

package attack

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"agentctl/rpcclient/wire"
	"agentctl/scripts/testkit"
)

// floodBeforeAuth announces a command with a name of 4 GiB, and one of 512 MiB,
// and sends the first 100 MB of it.
func floodBeforeAuth(t *testing.T, v *victim) {
	const flood = 100 << 20
	chunk := make([]byte, 1<<20)
	for _, size := range []string{"\xff\xff\xff\xff", "\x20\x00\x00\x00"} {
		a := v.attack(t)
		if err := a.greet(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(a, "\x82\xa7Command\xdb"+size); err != nil {
			t.Fatal(err)
		}
		before, sent, most := v.rss(t), 0, 0
		var err error
		for sent < flood && err == nil {
			var n int
			n, err = a.Write(chunk)
			sent += n
			most = max(most, v.rss(t)-before)
		}
		a.Close()
		t.Logf("it took %d KiB of a name of 0x%x bytes (then: %v), and its memory grew by %d KiB at most", sent>>10, size, err, most)
		if v.stock {
			return // the other one is the same, and takes its time
		}
		// What was sent is in the sockets' buffers, and what is read to be polite.
		if err == nil {
			t.Error("all of it was taken")
		}
		if most > 48<<10 {
			t.Errorf("memory grew by %d KiB", most)
		}
	}
}

// breakPattern sends a regular expression that does not compile.
func breakPattern(t *testing.T, v *victim) {
	a := v.attack(t)
	if err := a.greet(); err != nil {
		t.Fatal(err)
	}
	var found wire.MembersResponse
	text, err := a.ask(wire.MembersFiltered, 2, wire.MembersFilteredRequest{Name: "("}, &found)
	t.Logf("it answered %q, %v", text, err)
	if v.stock {
		if !errors.Is(err, io.EOF) {
			t.Errorf("stock serf does not close the connection any more: %q, %v", text, err)
		}
		return
	}
	if err != nil || !strings.Contains(text, "regex") {
		t.Errorf("answered %q, %v", text, err)
	}
	if text, err := a.ask(wire.Members, 3, nil, &found); text != "" || err != nil || len(found.Members) != 1 {
		t.Errorf("the connection is of no use afterwards: %q, %v, %v", text, err, found)
	}
}

// skipAuth sends a request with a body where auth should be, and then auth.
// Stock serf takes the body for a request of its own.
func skipAuth(t *testing.T, v *victim) {
	a := v.attack(t)
	if err := a.greet(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(
		a.w.Write(wire.RequestHeader{Command: wire.Event, Seq: 2}, wire.EventRequest{Name: "counted", Payload: []byte("forged")}),
		a.w.Write(wire.RequestHeader{Command: wire.Auth, Seq: 3}, wire.AuthRequest{AuthKey: victimKey}),
	); err != nil {
		t.Fatal(err)
	}
	answers := 0
	for {
		var h wire.ResponseHeader
		if err := a.r.Read(&h); err != nil {
			t.Fatalf("after %d answers: %v", answers, err)
		}
		if h.Seq == 3 {
			if h.Error != "" {
				t.Errorf("the right key is answered with %q", h.Error)
			}
			break
		}
		if answers++; h.Seq != 2 || h.Error != wire.ErrAuthRequired {
			t.Errorf("answer %+v", h)
		}
	}
	t.Logf("%d answers to one request", answers)
	if want := map[bool]int{true: 2, false: 1}[v.stock]; answers != want {
		t.Errorf("%d answers to one request, want %d", answers, want)
	}
}

// guessKeys tries wrong keys from many connections as fast as it is let.
func guessKeys(t *testing.T, v *victim) {
	const connections = 32
	guesses := 160
	if v.stock {
		guesses = 4000
	}
	var left, tried, cut atomic.Int64
	left.Store(int64(guesses))
	start := time.Now()
	var guessing sync.WaitGroup
	for range connections {
		guessing.Go(func() {
			for a, seq := (*attacker)(nil), uint64(2); left.Add(-1) >= 0; seq++ {
				if a == nil {
					var err error
					if a, err = v.tryAttack(t); err != nil {
						t.Errorf("connecting: %v", err)
						return
					}
					if err := a.greet(); err != nil {
						t.Errorf("greeting: %v", err)
						return
					}
				}
				text, err := a.ask(wire.Auth, seq, wire.AuthRequest{AuthKey: "a guess"}, nil)
				switch {
				case err == nil && text == wire.ErrInvalidAuthToken:
					tried.Add(1)
				case err == nil:
					t.Errorf("a guess was answered with %q", text)
				default: // it counts: it may have been looked at
					cut.Add(1)
					a.Close()
					a = nil
				}
			}
		})
	}
	v.dial(t).Close() // who has the key gets in all the same
	guessing.Wait()
	took := time.Since(start)
	t.Logf("%d guesses, %d more cut off, in %v: %.0f a second", tried.Load(), cut.Load(), took.Round(time.Millisecond), float64(tried.Load())/took.Seconds())
	if v.stock {
		return
	}
	// Each wrong key holds one of 16 slots for 100 ms (agent/rpc, maxGuesses and
	// guessDelay): so it is no matter of this machine's speed.
	if atMost := 16 * (int64(took/(100*time.Millisecond)) + 1); tried.Load() > atMost {
		t.Errorf("%d guesses in %v, and %d are possible", tried.Load(), took, atMost)
	}
}

// neverFinish connects and sends nothing, or a part of a request.
func neverFinish(t *testing.T, v *victim) {
	var part bytes.Buffer
	if err := wire.NewWriter(&part).Write(wire.RequestHeader{Command: wire.Handshake, Seq: 1}, wire.HandshakeRequest{Version: wire.Version}); err != nil {
		t.Fatal(err)
	}
	const connections = 90
	var open []*attacker
	for i := range connections {
		a := v.attack(t)
		if _, err := a.Write(part.Bytes()[:i%part.Len()]); err != nil {
			t.Fatal(err)
		}
		open = append(open, a)
	}
	if err := v.publish(t, 100); err != nil {
		t.Errorf("the agent is held up: %v", err)
	}
	if v.stock {
		t.Logf("%d goroutines, %d before", v.goroutines(t), v.goroutines0)
		return
	}
	for i, a := range open {
		// The server closes, with no answer, when the handshake's time is over.
		if err := a.r.Read(nil); err != io.EOF && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("connection %d: %v", i, err)
		}
	}
}

// dribble sends a byte at a time: a whole conversation, which is served, and a
// request that goes on for ever, which is cut off.
func dribble(t *testing.T, v *victim) {
	var bytewise bytes.Buffer
	w := wire.NewWriter(&bytewise)
	if err := errors.Join(
		w.Write(wire.RequestHeader{Command: wire.Handshake, Seq: 1}, wire.HandshakeRequest{Version: wire.Version}),
		w.Write(wire.RequestHeader{Command: wire.Event, Seq: 2}, wire.EventRequest{Name: "counted", Payload: []byte(v.payload(0))}),
	); err != nil {
		t.Fatal(err)
	}
	a := v.attack(t)
	a.SetNoDelay(true)
	for _, b := range bytewise.Bytes() {
		if _, err := a.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	v.sent++ // it is published here, and the good client has to get it
	for seq := range uint64(2) {
		var h wire.ResponseHeader
		if err := a.r.Read(&h); err != nil || h.Seq != seq+1 || h.Error != "" {
			t.Fatalf("answer %+v, %v", h, err)
		}
	}
	if v.stock {
		return
	}
	slow := v.attack(t)
	if _, err := slow.Write([]byte{0xda, 0x0f, 0x00}); err != nil { // a string of 3,840 bytes
		t.Fatal(err)
	}
	sent := 0
	testkit.WaitFor(t, "the handshake that goes on for ever is cut off", func() bool {
		_, err := slow.Write([]byte{'x'})
		sent++
		return err != nil
	})
	t.Logf("cut off after %d bytes", sent)
}
