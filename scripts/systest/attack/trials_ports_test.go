//go:build linux

package attack

import (
	"context"
	"io"
	"net"
	"sync"
	"time"

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
	{way: overRPC, name: "silent connections to RPC", aim: "places", bitBefore: true, do: floodRPC("")},
}

func floodHTTP(send string) func(*stand) {
	return func(s *stand) {
		s.connections(s.receiver.HTTP, send, testkit.Setting(s.t, "AGENTCTL_ATTACK_CONNECTIONS", 300, 1000))
	}
}

func floodRPC(send string) func(*stand) {
	return func(s *stand) {
		s.connections(s.publisher.RPC, send, 1500) // more than an agent takes
	}
}

// connections holds so many connections, each of which sends the same first. One that
// is closed is opened again. It returns once all have been opened.
func (s *stand) connections(addr, send string, many int) {
	var begun sync.WaitGroup
	begun.Add(many)
	for range many {
		s.hold(func() {
			first := sync.OnceFunc(begun.Done)
			defer first()
			for s.ctx.Err() == nil {
				conn, err := (&net.Dialer{}).DialContext(s.ctx, "tcp", addr)
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

// packets is a socket for packets to the gossip port.
func (s *stand) packets(n *proc.Node) (net.Conn, error) {
	conn, err := net.Dial("udp", n.Gossip)
	if err == nil {
		s.t.Cleanup(func() { conn.Close() })
	}
	return conn, err
}

// streams sends the same over some gossip streams at a time, and waits until each is
// closed.
func streams(n *proc.Node, raw []byte) {
	var sending sync.WaitGroup
	for range 16 {
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
