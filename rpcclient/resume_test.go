package rpcclient

import (
	"context"
	"errors"
	"net"
	"testing"

	"agentctl/rpcclient/wire"
)

// The answer to an event that another has sent is read as that to one's own.
func TestResume(t *testing.T) {
	const seq = 6
	for name, c := range map[string]struct {
		answer func(p *peer)
		sent   wire.Published
		kind   string
		is     error
	}{
		"success": {func(p *peer) { p.answer(seq, "", nil) }, wire.Published{}, "ok", nil},
		"what it is": {func(p *peer) {
			p.w.Write(wire.ResponseHeader{Seq: seq, ID: "1-a", HTTPAddr: "10.0.0.1:1"}, nil)
		}, wire.Published{ID: "1-a", HTTPAddr: "10.0.0.1:1"}, "ok", nil},
		"a warning": {func(p *peer) {
			p.w.Write(wire.ResponseHeader{Seq: seq, Warning: "some get none"}, nil)
		}, wire.Published{Warning: "some get none"}, "ok", nil},
		"a new field": {func(p *peer) {
			p.w.Write(map[string]any{"Seq": seq, "Error": "", "Warning": "so", "Later": []string{"x"}}, nil)
		}, wire.Published{Warning: "so"}, "ok", nil},
		"refused":         {func(p *peer) { p.answer(seq, wire.ErrAuthRequired, nil) }, wire.Published{}, "remote", ErrAuthRequired},
		"another request": {func(p *peer) { p.answer(seq+2, "", nil) }, wire.Published{}, "lost", nil},
		"closed":          {func(p *peer) { p.conn.Close() }, wire.Published{}, "lost", errConnClosed},
	} {
		near, far := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			p := newPeer(t, far)
			c.answer(p)
			p.drain()
		}()
		sent, err := Resume(t.Context(), Config{Addr: "test:1"}, near, seq)
		<-done // Resume has closed its end
		if sent != c.sent {
			t.Errorf("%s: %+v, want %+v", name, sent, c.sent)
		}
		wantKind(t, err, c.kind)
		if c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v is not %v", name, err, c.is)
		}
	}
	near, far := net.Pipe()
	defer far.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Resume(ctx, Config{Addr: "test:1"}, near, seq)
	wantKind(t, err, "lost", context.Canceled)
}
