//go:build linux

package attack

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
)

// Links are opened by hand here, as agent/link/DESIGN.md has them: an attacker keeps to
// no rules.
const (
	yamuxData    = 0
	yamuxSYN     = 1
	streamWindow = 256 << 10 // what a stream may hold unread
	// The kinds of streams: requests, which may not be so long, and one that nobody knows.
	requests, unknown = 2, 99
)

// linkTrials open streams without end, each of them full: on one link, and on a hundred
// of one host.
var linkTrials = []trial{
	{way: linkStranger, name: "streams without end on one link", aim: "memory", bitBefore: true, most: 128, do: floodLinks(1, unknown)},
	{way: linkStranger, name: "long requests without end on one link", aim: "memory", bitBefore: true, most: 128, do: floodLinks(1, requests)},
	{way: linkStranger, name: "streams without end on 100 links", aim: "memory", bitBefore: true, do: floodLinks(100, unknown)},
	{way: linkStranger, name: "long requests without end on 100 links", aim: "memory", bitBefore: true, do: floodLinks(100, requests)},
}

func floodLinks(links int, kind byte) func(*stand) {
	return func(s *stand) {
		streams := testkit.Setting(s.t, "AGENTCTL_ATTACK_STREAMS", 2000, 10_000)
		var writing sync.WaitGroup
		for i := range links {
			conn, err := openLink(s.receiver, fmt.Sprint("stranger-", i))
			if err != nil {
				continue // it is refused
			}
			s.t.Cleanup(func() { conn.Close() })
			go io.Copy(io.Discard, conn)
			writing.Go(func() { floodLink(conn, kind, max(1, streams/links)) })
		}
		writing.Wait()
	}
}

// openLink opens a plain link under a name.
func openLink(n *proc.Node, name string) (net.Conn, error) {
	conn, err := net.Dial("tcp", n.Gossip)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(2 * testkit.Patience))
	hello := append([]byte{1, 1}, make([]byte, 16)...) // versions, and no ID
	hello = append(hello, 100, byte(len(name)))        // the longest message
	hello = append(append(hello, name...), 0)          // no features
	b := binary.BigEndian.AppendUint16([]byte{0xA7, 1, 1, 0, 0, 0}, uint16(len(hello)))
	if _, err := conn.Write(append(b, hello...)); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func frame(kind byte, flags uint16, stream uint32, body []byte) []byte {
	b := []byte{0, kind}
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint32(b, stream)
	return append(binary.BigEndian.AppendUint32(b, uint32(len(body))), body...)
}

// floodLink writes so many full streams on a link, or until the link is closed.
func floodLink(conn net.Conn, kind byte, streams int) {
	body := make([]byte, streamWindow)
	body[0] = kind
	for i := range streams {
		if _, err := conn.Write(frame(yamuxData, yamuxSYN, uint32(2*i+1), body)); err != nil {
			return
		}
	}
}
