package commands

import (
	"bytes"
	"errors"
	"net"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"agentctl/rpcclient/wire"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
)

// fakeAgent answers events, each with the same bytes.
type fakeAgent struct {
	addr   string
	events atomic.Int32 // that came, since the last look
}

// fakeAnswers say how a fakeAgent answers the requests with these numbers.
type fakeAnswers struct {
	greeting func(seq uint64) any // a header; nil for success
	event    func(seq uint64) any // a header, or bytes as they are; nil for none
	close    bool                 // once the event is answered, and not when the client does
}

func newFakeAgent(t *testing.T, answers fakeAnswers) *fakeAgent {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &fakeAgent{addr: ln.Addr().String()}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				a.serve(conn, answers)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		all.Wait() // the clients are gone
	})
	return a
}

// serve serves one client, until either side closes or an answer cannot be
// written.
func (a *fakeAgent) serve(conn net.Conn, answers fakeAnswers) {
	r, w := wire.NewReader(conn, wire.DefaultLimits), wire.NewWriter(conn)
	for {
		var h wire.RequestHeader
		if r.Read(&h) != nil || r.Read(nil) != nil {
			return
		}
		answer := any(wire.ResponseHeader{Seq: h.Seq})
		if h.Command == wire.Event {
			a.events.Add(1)
			if answer = nil; answers.event != nil {
				answer = answers.event(h.Seq)
			}
		} else if answers.greeting != nil {
			answer = answers.greeting(h.Seq)
		}
		var err error
		switch answer := answer.(type) {
		case nil:
		case []byte:
			for i := range answer { // in pieces, as far as the kernel keeps them apart
				if _, err = conn.Write(answer[i : i+1]); err != nil {
					return
				}
			}
		default:
			err = w.Write(answer, nil)
		}
		if err != nil || h.Command == wire.Event && answers.close {
			return
		}
	}
}

// Whatever the agent answers, "event" does and prints what it does and prints
// where package quick leaves it alone, and publishes as often: "--" before the
// name is not for quick.
func TestQuickEventIsTheOrdinaryOne(t *testing.T) {
	if runtime.GOOS != "linux" {
		testkit.NotRun(t, "package quick is for Linux")
	}
	serf := proc.BuildAs(t, "serf")
	agentctl := filepath.Join(filepath.Dir(serf), "agentctl")
	header := func(h wire.ResponseHeader) func(uint64) any {
		return func(seq uint64) any { h.Seq = seq; return h }
	}
	raw := func(before, after string) func(uint64) any {
		return func(seq uint64) any { return []byte(before + string([]byte{byte(seq)}) + after) }
	}
	for name, c := range map[string]struct {
		fakeAnswers
		key     string
		events  int32  // that the agent gets from each command
		program string // the only one to try; "" for both
		out     string // of agentctl
	}{
		"taken": {fakeAnswers: fakeAnswers{event: header(wire.ResponseHeader{})}, events: 1, out: "Event 'kong' dispatched! Coalescing enabled: true\n"},
		"taken, with a key": {fakeAnswers: fakeAnswers{event: header(wire.ResponseHeader{})}, key: "k", events: 1,
			out: "Event 'kong' dispatched! Coalescing enabled: true\n"},
		"taken, with a warning": {fakeAnswers: fakeAnswers{event: header(wire.ResponseHeader{Warning: "some get none"})}, events: 1,
			out: "Event 'kong' dispatched! Coalescing enabled: true\n"},
		"taken, in other encodings": {fakeAnswers: fakeAnswers{event: raw("\xde\x00\x02\xd9\x05Error\xda\x00\x00\xa3Seq\xcd\x00", "")}, events: 1,
			out: "Event 'kong' dispatched! Coalescing enabled: true\n"},
		"taken, with new fields": {fakeAnswers: fakeAnswers{event: func(seq uint64) any {
			return map[string]any{"Error": "", "Seq": seq, "Later": map[string]any{"a": []int{1, 2}}, "Warning": "so"}
		}}, events: 1, out: "Event 'kong' dispatched! Coalescing enabled: true\n"},
		"taken, in few fields": {fakeAnswers: fakeAnswers{event: raw("\x81\xa3Seq", "")}, events: 1,
			out: "Event 'kong' dispatched! Coalescing enabled: true\n"},
		"taken, and the connection closed": {fakeAnswers: fakeAnswers{event: header(wire.ResponseHeader{}), close: true}, events: 1, program: agentctl,
			out: "Event 'kong' dispatched! Coalescing enabled: true\n"}, // serf's client may say that it is closed
		"refused":        {fakeAnswers: fakeAnswers{event: header(wire.ResponseHeader{Error: "it is\ntoo large"})}, events: 1, out: "Error sending event: it is\n    too large\n"},
		"key is missing": {fakeAnswers: fakeAnswers{event: header(wire.ResponseHeader{Error: wire.ErrAuthRequired})}, events: 1, out: "Error sending event: Authentication required (the agent has an auth key: give it with -rpc-auth)\n"},
		"key is refused": {fakeAnswers: fakeAnswers{greeting: header(wire.ResponseHeader{Error: wire.ErrInvalidAuthToken}), event: header(wire.ResponseHeader{})}, key: "k",
			out: "Error connecting to Serf agent: cannot use the serf agent at ADDR: Invalid authentication token (check -rpc-auth)\n"},
		"greeting with a warning": {fakeAnswers: fakeAnswers{greeting: header(wire.ResponseHeader{Warning: "so"}), event: header(wire.ResponseHeader{})}, events: 1,
			out: "Event 'kong' dispatched! Coalescing enabled: true\n"},
		"no answer": {fakeAnswers: fakeAnswers{close: true}, events: 1,
			out: "Error sending event: event: no answer from the agent at ADDR: the agent closed the connection (the command may or may not have taken effect)\n"},
		"half an answer": {fakeAnswers: fakeAnswers{event: raw("\x82\xa3Seq", "\xa5Er"), close: true}, events: 1,
			out: "Error sending event: event: no answer from the agent at ADDR: reading from the agent: unexpected EOF (the command may or may not have taken effect)\n"},
		"nonsense": {fakeAnswers: fakeAnswers{event: raw("HTTP/1.1 400 Bad Request", ""), close: true}, events: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newFakeAgent(t, c.fakeAnswers)
			for _, program := range []string{agentctl, serf} {
				if c.program != "" && c.program != program {
					continue
				}
				run := func(args ...string) (stdout, stderr string, status int, events int32) {
					var out, errs bytes.Buffer
					cmd := exec.CommandContext(t.Context(), program, append([]string{"event", "-rpc-addr=" + a.addr, "-rpc-auth=" + c.key}, args...)...)
					cmd.Stdout, cmd.Stderr = &out, &errs
					err := cmd.Run()
					if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || !exit.Exited()) {
						t.Fatal(err)
					}
					return out.String(), errs.String(), cmd.ProcessState.ExitCode(), a.events.Swap(0)
				}
				out, errs, status, events := run("kong", "x")
				wantOut, wantErrs, wantStatus, wantEvents := run("--", "kong", "x")
				if out != wantOut || errs != wantErrs || status != wantStatus || events != wantEvents {
					t.Errorf("%s: %q, %q, status %d, %d events; the ordinary one: %q, %q, status %d, %d events",
						filepath.Base(program), out, errs, status, events, wantOut, wantErrs, wantStatus, wantEvents)
				}
				if want := string(bytes.ReplaceAll([]byte(c.out), []byte("ADDR"), []byte(a.addr))); program == agentctl && want != "" && out != want {
					t.Errorf("it printed %q, want %q", out, want)
				}
				if events != c.events {
					t.Errorf("%s: %d events came, want %d", filepath.Base(program), events, c.events)
				}
			}
		})
	}
}
