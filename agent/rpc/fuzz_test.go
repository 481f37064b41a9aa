package rpc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/serf/serf"

	"agentctl/rpcclient/wire"
)

// FuzzConversation sends any bytes after a handshake, or in its place, to a
// server that events and log lines flow through. Whatever they are, the server
// does not panic, closes the connection once the client has, leaves no
// goroutine and no subscription behind, and takes no more memory than its
// limits allow.
func FuzzConversation(f *testing.F) {
	for _, seed := range fuzzSeeds() {
		f.Add(seed, true, false)
		f.Add(seed, true, true)
		f.Add(seed, false, false)
	}
	f.Fuzz(func(t *testing.T, data []byte, handshake, auth bool) {
		synctest.Test(t, func(t *testing.T) {
			fail := errors.New("it failed")
			a := &fakeAgent{
				join:       func([]string, bool) (int, error) { return 0, fail },
				key:        func(string, string) (*serf.KeyResponse, error) { return nil, fail },
				leave:      func() error { return fail },
				shutdown:   func() {},
				forceLeave: func(string, bool) error { return nil },
				updateTags: func(map[string]string, []string) error { return nil },
				query: func(string, []byte, *serf.QueryParam) (*serf.QueryResponse, error) {
					return &serf.QueryResponse{}, nil
				},
				publish: func(_ context.Context, name string, payload []byte, _ bool) error {
					if len(name)+len(payload) > len(data) {
						t.Error("an event is longer than what was sent")
					}
					return nil
				},
			}
			cfg := Config{}
			if auth {
				cfg.AuthKey = "secret"
			}
			p := newPipes()
			_, stop := serve(t, a, cfg, p)
			ours, theirs := net.Pipe()
			p.conns <- theirs
			read := make(chan int64)
			go func() {
				n, _ := io.Copy(io.Discard, ours)
				read <- n
			}()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if handshake {
				wire.NewWriter(ours).Write(wire.RequestHeader{Command: wire.Handshake}, wire.HandshakeRequest{Version: 1})
			}
			lines := 0
			for chunk := range bytes.Lines(data) { // in pieces, with things going on in between
				if _, err := ours.Write(chunk); err != nil {
					break
				}
				if lines++; lines > 50 { // each is written to every stream, and a line may be one byte
					continue
				}
				a.emit(userEvent(1))
				a.emit(&serf.Query{Name: "ask"})
				a.log("x [ERR] line")
			}
			synctest.Wait()
			runtime.ReadMemStats(&after)
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20+1000*uint64(len(data)) {
				t.Errorf("%d bytes were allocated for %d", grown, len(data))
			}
			ours.Close()
			<-read
			synctest.Wait()
			if n := a.subscriptions(); n != 0 {
				t.Errorf("%d subscriptions are left", n)
			}
			stop()
		})
	})
}

func fuzzSeeds() (seeds [][]byte) {
	var all bytes.Buffer
	for i, cmd := range allCommands {
		var body any
		switch cmd {
		case wire.Handshake:
			body = wire.HandshakeRequest{Version: 1}
		case wire.Auth:
			body = wire.AuthRequest{AuthKey: "secret"}
		case wire.MembersFiltered:
			body = wire.MembersFilteredRequest{Name: "(", Tags: map[string]string{"a": "b"}}
		case wire.Monitor:
			body = wire.MonitorRequest{LogLevel: "ERR"}
		case wire.Stop:
			body = wire.StopRequest{Stop: 7}
		case wire.Respond:
			body = wire.RespondRequest{ID: 1 << 40} // of no query: a fake one cannot be responded to
		default:
			if cmd.HasRequest() {
				body = struct{ Name, Node string }{"x\n", "y\n"}
			}
		}
		var one bytes.Buffer
		wire.NewWriter(&one).Write(wire.RequestHeader{Command: cmd, Seq: uint64(i)}, body)
		seeds = append(seeds, one.Bytes())
		all.Write(one.Bytes())
		all.WriteByte('\n') // a line's end, and an integer where a header should be
	}
	return append(seeds, all.Bytes(),
		[]byte("\xdb\xff\xff\xff\xff"), []byte("\xdf\x3f\xff\xff\xff"), []byte("\xc1"),
		bytes.Repeat([]byte{0x91}, 1000))
}
