package rpcclient_test

import (
	"log"
	"net"
	"sync"

	"agentctl/rpcclient/wire"
)

// startAgent runs a small stand-in for an agent on a port of loopback, so that
// the examples need no cluster. The client has to be closed before stop.
func startAgent() (addr string, stop func()) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				standIn(conn)
			})
		}
	})
	return ln.Addr().String(), func() {
		ln.Close()
		running.Wait()
	}
}

// maxStandIn is the size of the largest payload that the stand-in takes, in bytes.
const maxStandIn = 9 << 10

// standIn answers one client until it hangs up. It always has the same two
// members. A stream gets the events that its own client publishes; the filter is
// not looked at.
func standIn(conn net.Conn) {
	r, w := wire.NewReader(conn, wire.DefaultLimits), wire.NewWriter(conn)
	var stream, ltime uint64 // the Seq of the stream, 0 if there is none
	for {
		var h wire.RequestHeader
		if r.Read(&h) != nil {
			return
		}
		var event wire.EventRequest
		var err error
		switch {
		case h.Command == wire.Event:
			err = r.Read(&event)
		case h.Command.HasRequest():
			err = r.Read(nil)
		}
		if err != nil {
			return
		}

		answer := wire.ResponseHeader{Seq: h.Seq}
		var body any
		switch h.Command {
		case wire.Members:
			body = wire.MembersResponse{Members: members}
		case wire.Stream:
			stream = h.Seq
		case wire.Event:
			if len(event.Payload) > maxStandIn {
				answer.Error = "the event is too large"
			}
		}
		if w.Write(answer, body) != nil {
			return
		}
		if h.Command == wire.Event && answer.Error == "" {
			if ltime++; stream != 0 {
				w.Write(wire.ResponseHeader{Seq: stream}, wire.UserEventRecord{
					Event: "user", LTime: ltime, Name: event.Name, Payload: event.Payload,
				})
			}
		}
	}
}

var members = []wire.Member{
	{Name: "gateway-1", Addr: net.IPv4(10, 0, 0, 1), Port: 7946, Status: "alive", Tags: map[string]string{"dc": "berlin"}},
	{Name: "gateway-2", Addr: net.IPv4(10, 0, 0, 2), Port: 7946, Status: "failed", Tags: map[string]string{"dc": "berlin"}},
}
