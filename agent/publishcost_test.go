package agent

import (
	"bytes"
	"io"
	"log/slog"
	"strconv"
	"testing"
	"testing/synctest"

	"agentctl/agent/config"
	"agentctl/agent/logs"
	"agentctl/agent/publish"
	"agentctl/rpcclient/wire"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// runQuiet runs an agent that logs only warnings, as one does that is to be fast.
func runQuiet(t *testing.T, o config.Options) *node {
	t.Helper()
	hub := logs.New(logs.Config{Out: io.Discard, Level: slog.LevelWarn})
	t.Cleanup(func() { hub.Close() })
	a, err := newOn(t, compiled(t, o), hub, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	_, log := testkit.NewLog()
	return run(t, a, log)
}

// What a publish takes does not grow. It took 52 allocations while serf's codec read each
// message. Half of those that are left are serf's own.
func TestPublishAllocates(t *testing.T) {
	const runs, most = 2000, 17
	bubble(t, func(t *testing.T) {
		n := runQuiet(t, options())
		synctest.Wait()
		payloads := make([][]byte, runs+1) // AllocsPerRun runs once more
		for i := range payloads {
			payloads[i] = []byte(strconv.Itoa(i))
		}
		next := 0
		allocs := testing.AllocsPerRun(runs, func() {
			if err := n.Publish(t.Context(), "kong", payloads[next], false); err != nil {
				t.Error(err)
			}
			next++
		})
		if allocs > most {
			t.Errorf("a publish takes %v allocations, at most %d are wanted", allocs, most)
		}
	})
}

// The same for a publish over RPC, from the bytes of the request to those of the answer,
// if no script and no stream wants the event. The network in memory takes ten or so of them.
func TestPublishOverRPCAllocates(t *testing.T) {
	const runs, most = 2000, 31
	bubble(t, func(t *testing.T) {
		n := runQuiet(t, options(handlers("member-reap="+memory.NewGateway(t).URL)))
		conn, err := memory.Network(t).Dial(t.Context(), "tcp", n.RPCAddr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		answer := make([]byte, 4096)
		ask := func(request []byte) {
			if _, err := conn.Write(request); err != nil {
				t.Fatal(err)
			}
			n, err := conn.Read(answer)
			if err != nil || !bytes.Contains(answer[:n], []byte("\xa5Error\xa0")) {
				t.Fatalf("%q, %v", answer[:n], err)
			}
		}
		encode := func(header, body any) []byte {
			var b bytes.Buffer
			if err := wire.NewWriter(&b).Write(header, body); err != nil {
				t.Fatal(err)
			}
			return b.Bytes()
		}
		ask(encode(wire.RequestHeader{Command: wire.Handshake}, wire.HandshakeRequest{Version: wire.Version}))
		requests := make([][]byte, runs+1) // AllocsPerRun runs once more
		for i := range requests {
			requests[i] = encode(wire.RequestHeader{Command: wire.Event, Seq: uint64(i)}, wire.EventRequest{Name: "kong", Payload: []byte(strconv.Itoa(i))})
		}
		next := 0
		allocs := testing.AllocsPerRun(runs, func() {
			ask(requests[next])
			next++
		})
		if allocs > most {
			t.Errorf("a publish over RPC takes %v allocations, at most %d are wanted", allocs, most)
		}
	})
}

// The same for an event of a batch, behind the reading of its line.
func TestPublishAllAllocates(t *testing.T) {
	const runs, events, most = 10, 256, 12
	bubble(t, func(t *testing.T) {
		n := runQuiet(t, options(handlers("member-reap="+memory.NewGateway(t).URL)))
		synctest.Wait()
		batches := make([][]publish.Event, runs+1) // AllocsPerRun runs once more
		for i := range batches {
			for k := range events {
				batches[i] = append(batches[i], publish.Event{Name: "kong", Payload: []byte(strconv.Itoa(i*events + k))})
			}
		}
		next := 0
		allocs := testing.AllocsPerRun(runs, func() {
			if _, err := n.publisher.PublishAll(t.Context(), batches[next]); err != nil {
				t.Error(err)
			}
			next++
		})
		if allocs > most*events {
			t.Errorf("an event of a batch takes %.2f allocations, at most %d are wanted", allocs/events, most)
		}
	})
}
