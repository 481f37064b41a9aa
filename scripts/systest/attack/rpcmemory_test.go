//go:build linux

package attack

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"

	"agentctl/rpcclient/wire"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
)

// Clients of the RPC may leave large requests without an end, over hundreds of connections.
// The agent stays small, and events go on.
func TestRequestsWithoutAnEnd(t *testing.T) {
	asUsersHaveIt(t)
	const most = 128 // MiB at the peak
	conns := testkit.Setting(t, "AGENTCTL_TEST_CONNS", 400, 700)
	var request bytes.Buffer
	if err := wire.NewWriter(&request).Write(wire.RequestHeader{Command: wire.Event, Seq: 2}, wire.EventRequest{Name: "large", Payload: make([]byte, 1<<20)}); err != nil {
		t.Fatal(err)
	}
	large := request.Bytes()
	v := newVictim(t, false, "", 0)
	before := peakMemory(t, v.Node) >> 10
	var sending sync.WaitGroup
	for range conns {
		conn := v.shakeHands(t)
		conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
		sending.Go(func() { conn.Write(large[:len(large)-1]) }) // it may be left waiting
	}
	sending.Wait()
	if v.Ended() {
		t.Fatalf("the agent has ended: %s", proc.Tail(v.Printed(), 4<<10))
	}
	v.publish(t, 20)
	if r := v.report(); r != "" {
		t.Errorf("the client that behaves: %s", r)
	}
	peak := peakMemory(t, v.Node) >> 10
	t.Logf("%d MiB at the peak, %d before", peak, before)
	if peak > most {
		t.Errorf("the agent took %d MiB", peak)
	}
}

// shakeHands is a connection to the RPC port that may give commands.
func (v *victim) shakeHands(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", v.RPC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := wire.NewWriter(conn).Write(wire.RequestHeader{Command: wire.Handshake, Seq: 1}, wire.HandshakeRequest{Version: wire.Version}); err != nil {
		t.Fatal(err)
	}
	var answer wire.ResponseHeader
	if err := wire.NewReader(conn, wire.DefaultLimits).Read(&answer); err != nil || answer.Error != "" {
		t.Fatalf("%v %q", err, answer.Error)
	}
	return conn
}
