//go:build linux

package attack

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"time"

	"agentctl/rpcclient/wire"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
)

// portTrials hold a port full of connections.
var portTrials = []trial{
	{way: overHTTP, name: "silent connections", aim: "probes", bitBefore: true, do: floodHTTP("")},
	{way: overHTTP, name: "slow headers", aim: "probes", bitBefore: true, do: floodHTTP("GET /v1/status HT")},
	{way: overHTTP, name: "followers", aim: "probes", bitBefore: true, do: floodHTTP("GET /v1/events?follow=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")},
	{way: overHTTP, name: "waits for nodes", aim: "probes", bitBefore: true, do: floodHTTP("GET /v1/events/1-0123456789abcdef/nodes?wait=20s HTTP/1.1\r\nHost: localhost\r\n\r\n")},
	{way: overHTTP, name: "durable publishes", aim: "probes", bitBefore: true, do: floodHTTP("POST /v1/events?name=flood&durable=1&wait=20s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\nContent-Length: 1\r\n\r\n")},
	{way: overRPC, name: "silent connections to RPC", aim: "places", bitBefore: true, do: floodRPC(sameHost, "")},
	{way: overRPC, name: "wrong keys", aim: "places", bitBefore: true, do: floodRPC(otherHost, wrongKey())},
}

func floodHTTP(send string) func(*stand) {
	return func(s *stand) {
		s.connections(sameHost, s.receiver.HTTP, send, testkit.Setting(s.t, "AGENTCTL_ATTACK_CONNECTIONS", 300, 1000))
	}
}

func floodRPC(from, send string) func(*stand) {
	return func(s *stand) {
		s.connections(from, s.publisher.RPC, send, 1500) // more than an agent takes
	}
}

// wrongKey is the beginning of a client of RPC that guesses the key.
func wrongKey() string {
	var b bytes.Buffer // to which nothing fails
	w := wire.NewWriter(&b)
	w.Write(wire.RequestHeader{Command: wire.Handshake, Seq: 1}, wire.HandshakeRequest{Version: wire.Version})
	w.Write(wire.RequestHeader{Command: wire.Auth, Seq: 2}, wire.AuthRequest{AuthKey: "a wrong key"})
	return b.String()
}

// Programs on one host are one client to the limits of the ports.
const sameHost, otherHost = "127.0.0.1", "127.0.0.2"

// connections holds so many connections, each of which sends the same first. One that
// is closed is opened again. It returns once all have been opened.
func (s *stand) connections(from, addr, send string, many int) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	var begun sync.WaitGroup
	begun.Add(many)
	for range many {
		s.hold(func() {
			first := sync.OnceFunc(begun.Done)
			defer first()
			for s.ctx.Err() == nil {
				conn, err := dialer.DialContext(s.ctx, "tcp", addr)
				if err == nil {
					end := context.AfterFunc(s.ctx, func() { conn.Close() })
					io.WriteString(conn, send)
					first()
					io.Copy(io.Discard, conn)
					conn.Close()
					end()
				}
				select { // ten a second each: a flood of new connections is limited by this machine
				case <-time.After(100 * time.Millisecond):
				case <-s.ctx.Done():
				}
			}
		})
	}
	begun.Wait()
}

// packets is a socket for packets to an agent's gossip port.
func (s *stand) packets(n *proc.Node) net.Conn {
	s.t.Helper()
	conn, err := net.Dial("udp", n.Gossip)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	return conn
}

// streams sends the same over so many gossip streams at a time, and waits until each is
// closed.
func streams(n *proc.Node, many int, raw []byte) {
	var sending sync.WaitGroup
	for range many {
		sending.Go(func() {
			conn, err := net.Dial("tcp", n.Gossip)
			if err != nil {
				return
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(testkit.Patience))
			conn.Write(raw) // it may be cut off
			conn.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, conn)
		})
	}
	sending.Wait()
}
