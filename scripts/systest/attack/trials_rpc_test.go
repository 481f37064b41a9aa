//go:build linux

package attack

import (
	"bytes"
	"io"
	"net"
	"sync"
	"time"

	"agentctl/rpcclient/wire"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
)

// rpcTrials are of a client that has the key, and many connections.
var rpcTrials = []trial{
	{way: rpcClient, name: "large requests without an end", aim: "memory", bitBefore: true, most: 128, do: largeRequests},
	{way: rpcClient, name: "streams and monitors of everything, and questions", aim: "events", do: manyStreams},
}

// largeRequests leaves requests of a MiB without their last byte.
func largeRequests(s *stand) {
	var request bytes.Buffer
	w := wire.NewWriter(&request)
	w.Write(wire.RequestHeader{Command: wire.Event, Seq: 3}, wire.EventRequest{Name: "large", Payload: make([]byte, 1<<20)})
	part := request.Bytes()[:request.Len()-1]
	var sending sync.WaitGroup
	for range testkit.Setting(s.t, "AGENTCTL_ATTACK_CLIENTS", 400, 700) {
		conn := s.rpcConn(s.receiver)
		sending.Go(func() { conn.Write(part) }) // it may be left waiting
	}
	sending.Wait()
}

// manyStreams opens as many streams as connections may have, a monitor on each, and asks
// queries that all of them get.
func manyStreams(s *stand) {
	const streams, queries = 63, 100
	var opening sync.WaitGroup
	var asking net.Conn
	for range testkit.Setting(s.t, "AGENTCTL_ATTACK_CLIENTS", 400, 700) {
		conn := s.rpcConn(s.receiver)
		asking = conn
		s.hold(func() { io.Copy(io.Discard, conn) })
		opening.Go(func() {
			w := wire.NewWriter(conn)
			w.Write(wire.RequestHeader{Command: wire.Monitor, Seq: 3}, wire.MonitorRequest{LogLevel: "DEBUG"})
			for i := range streams {
				w.Write(wire.RequestHeader{Command: wire.Stream, Seq: uint64(4 + i)}, wire.StreamRequest{Type: "*"})
			}
		})
	}
	opening.Wait()
	w := wire.NewWriter(asking)
	for i := range queries {
		w.Write(wire.RequestHeader{Command: wire.Query, Seq: uint64(1000 + i)}, wire.QueryRequest{Name: "flood", Timeout: 100 * time.Millisecond})
		time.Sleep(10 * time.Millisecond)
	}
}

// rpcConn is a connection to an agent's RPC from another host, which has shown the key. It
// is closed when the attack is over.
func (s *stand) rpcConn(n *proc.Node) net.Conn {
	s.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(otherHost)}, Timeout: testkit.Patience}
	conn, err := d.Dial("tcp", n.RPC)
	if err != nil {
		s.t.Fatal(err)
	}
	s.hold(func() { <-s.ctx.Done(); conn.Close() })
	conn.SetDeadline(time.Now().Add(testkit.Patience))
	w, r := wire.NewWriter(conn), wire.NewReader(conn, wire.DefaultLimits)
	w.Write(wire.RequestHeader{Command: wire.Handshake, Seq: 1}, wire.HandshakeRequest{Version: wire.Version})
	w.Write(wire.RequestHeader{Command: wire.Auth, Seq: 2}, wire.AuthRequest{AuthKey: victimKey})
	for range 2 {
		var answer wire.ResponseHeader
		if err := r.Read(&answer); err != nil || answer.Error != "" {
			s.t.Fatalf("the attack could not be made: %v %q", err, answer.Error)
		}
	}
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}
