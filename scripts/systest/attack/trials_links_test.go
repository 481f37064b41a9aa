//go:build linux

package attack

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/flynn/noise"

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
// of one host. With a hundred, much is not collected yet at the peak.
var linkTrials = []trial{
	{way: linkStranger, name: "streams without end on one link", aim: "memory", bitBefore: true, most: 128, do: floodLinks(1, unknown)},
	{way: linkStranger, name: "long requests without end on one link", aim: "memory", bitBefore: true, most: 128, do: floodLinks(1, requests)},
	{way: linkStranger, name: "streams without end on 100 links", aim: "memory", bitBefore: true, most: 512, do: floodLinks(100, unknown)},
	{way: linkStranger, name: "long requests without end on 100 links", aim: "memory", bitBefore: true, most: 512, do: floodLinks(100, requests)},
	{way: memberWithKey, name: "streams without end on one encrypted link", aim: "memory", bitBefore: true, keyed: true, most: 128, do: floodLinks(1, unknown)},
}

func floodLinks(links int, kind byte) func(*stand) {
	return func(s *stand) {
		streams := testkit.Setting(s.t, "AGENTCTL_ATTACK_STREAMS", 2000, 10_000)
		var writing sync.WaitGroup
		for i := range links {
			open := openLink
			if s.trial.keyed {
				open = openKeyedLink
			}
			conn, err := open(s.receiver, fmt.Sprint("stranger-", i))
			if err != nil {
				s.t.Fatal(err)
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
	return openLinkAs(n, name, [16]byte{})
}

// openLinkAs opens one with a sending ID.
func openLinkAs(n *proc.Node, name string, id [16]byte) (net.Conn, error) {
	conn, err := net.Dial("tcp", n.Gossip)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(2 * testkit.Patience))
	if _, err := conn.Write(append([]byte{0xA7, 1, 1, 0, 0, 0}, hello(name, id)...)); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func hello(name string, id [16]byte) []byte {
	b := append([]byte{1, 1}, id[:]...) // versions before it
	b = append(b, 100, byte(len(name))) // the longest message
	b = append(append(b, name...), 0)   // no features
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
}

// keyedConn encrypts what is written to a link, as one who has the key does.
type keyedConn struct {
	net.Conn
	out *noise.CipherState
}

func (c *keyedConn) Write(b []byte) (n int, err error) {
	for part := range slices.Chunk(b, noise.MaxMsgLen-16) {
		record, err := c.out.Encrypt([]byte{0, 0}, nil, part)
		if err != nil {
			return n, err
		}
		binary.BigEndian.PutUint16(record, uint16(len(record)-2))
		if _, err := c.Conn.Write(record); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

// openKeyedLink opens an encrypted link with the gossip key.
func openKeyedLink(n *proc.Node, name string) (conn net.Conn, err error) {
	plain, err := net.Dial("tcp", n.Gossip)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			plain.Close()
		}
	}()
	plain.SetDeadline(time.Now().Add(2 * testkit.Patience))
	key, err := base64.StdEncoding.DecodeString(proc.FirstKey)
	if err != nil {
		return nil, err
	}
	secret, err := hkdf.Key(sha256.New, key, nil, "agentctl link psk 1", 32)
	if err != nil {
		return nil, err
	}
	preamble := []byte{0xA7, 1, 1, 1}
	shake, err := noise.NewHandshakeState(noise.Config{
		CipherSuite: noise.NewCipherSuite(noise.DH25519, noise.CipherAESGCM, noise.HashSHA256),
		Pattern:     noise.HandshakeNN, Initiator: true, Prologue: preamble, PresharedKey: secret,
	})
	if err != nil {
		return nil, err
	}
	first, _, _, err := shake.WriteMessage(nil, nil)
	if err != nil {
		return nil, err
	}
	if _, err := plain.Write(append(binary.BigEndian.AppendUint16(preamble, uint16(len(first))), first...)); err != nil {
		return nil, err
	}
	head := make([]byte, 6)
	if _, err := io.ReadFull(plain, head); err != nil {
		return nil, err
	}
	second := make([]byte, binary.BigEndian.Uint16(head[4:]))
	if _, err := io.ReadFull(plain, second); err != nil {
		return nil, err
	}
	_, out, _, err := shake.ReadMessage(nil, second)
	if err != nil {
		return nil, err
	}
	conn = &keyedConn{plain, out}
	_, err = conn.Write(hello(name, [16]byte{}))
	return conn, err
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
