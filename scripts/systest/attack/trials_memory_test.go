//go:build linux

package attack

import (
	"bytes"
	"compress/lzw"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"time"

	"agentctl/scripts/testkit"
)

// memoryTrials send what grows in memory, without a key.
var memoryTrials = []trial{
	{way: gossipPacket, name: "compressed bombs in packets", aim: "memory", bitBefore: true, most: 128, do: func(s *stand) {
		conn := s.packets(s.receiver)
		for range testkit.Setting(s.t, "AGENTCTL_ATTACK_BOMBS", 300, 3000) {
			conn.Write(zeros())
			time.Sleep(time.Millisecond)
		}
	}},
	{way: gossipStream, name: "compressed bombs in streams", aim: "memory", bitBefore: true, do: func(s *stand) { streams(s.receiver, 16, zeros()) }},
	{way: gossipStream, name: "lists of nothing", aim: "memory", bitBefore: true, do: func(s *stand) { streams(s.receiver, 4, nothings()) }},
	{way: gossipPacket, name: "ever new names of events", aim: "memory", bitBefore: true, do: func(s *stand) {
		conn := s.packets(s.receiver)
		for i := range testkit.Setting(s.t, "AGENTCTL_ATTACK_NAMES", 20_000, 400_000) {
			name := fmt.Sprintf("%s-%d", strings.Repeat("n", 200), i)
			conn.Write(fmt.Appendf(nil, "\x08\x03\x82\xa5LTime\xce%s\xa4Name\xda%s%s", binary.BigEndian.AppendUint32(nil, uint32(1000+i)),
				binary.BigEndian.AppendUint16(nil, uint16(len(name))), name))
			if i%100 == 99 {
				time.Sleep(time.Millisecond)
			}
		}
	}},
}

// zeros is a message of 39 MiB of zeros: compressed, it fits a packet.
var zeros = sync.OnceValue(func() []byte { return compressed(make([]byte, 39<<20)) })

// nothings is a full sync whose list of events has 18 million entries, compressed.
var nothings = sync.OnceValue(func() []byte {
	const events = 18 << 20
	message := fmt.Appendf(nil, "\x02\x81\xa6Events\xdd%s", binary.BigEndian.AppendUint32(nil, events))
	message = append(message, bytes.Repeat([]byte{0xc0}, events)...)
	list := fmt.Appendf(nil, "\x06\x83\xa5Nodes\x00\xacUserStateLen\xce%s\xa4Join\xc2", binary.BigEndian.AppendUint32(nil, uint32(len(message))))
	return compressed(append(list, message...))
})

// compressed is a compressed message of memberlist's.
func compressed(plain []byte) []byte {
	var buf bytes.Buffer // to which nothing fails
	w := lzw.NewWriter(&buf, lzw.LSB, 8)
	w.Write(plain)
	w.Close()
	head := []byte("\x09\x82\xa4Algo\x00\xa3Buf\xdb\x00\x00\x00\x00")
	binary.BigEndian.PutUint32(head[len(head)-4:], uint32(buf.Len()))
	return append(head, buf.Bytes()...)
}
