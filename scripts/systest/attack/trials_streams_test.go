//go:build linux

package attack

import (
	"encoding/binary"
	"net"
	"sync"
	"time"

	"agentctl/scripts/testkit"
)

// streamTrials hold many streams of gossip, which announce much, bring much, or grow when
// they are read, from several hosts. What all of them hold is bounded. Beside them stand
// messages that memberlist cannot read once they are decrypted.
var streamTrials = []trial{
	{way: gossipStream, name: "states announced on 200 streams", aim: "memory", most: streamMost, do: holding(200, syncHead(0, 20<<20))},
	{way: gossipStream, name: "members announced on 200 streams", aim: "memory", most: streamMost, do: holding(200, syncHead(1<<20, 0))},
	{way: gossipStream, name: "states without an end on 300 streams", aim: "memory", most: streamMost,
		do: holding(300, append(syncHead(0, 20<<20), make([]byte, 1<<20-100)...))},
	{way: gossipStream, keyed: true, name: "300 streams to be decrypted", aim: "memory", most: streamMost,
		do: holding(300, append(encryptedHead(20<<20), make([]byte, 1<<20-100)...))},
	{way: gossipStream, keyed: true, name: "long streams to be decrypted", aim: "memory", most: streamMost,
		do: holding(24, append(encryptedHead(20<<20), make([]byte, 19<<20)...))},
	{way: memberWithKey, keyed: true, name: "compressed bombs on 32 streams", aim: "memory", most: streamMost,
		do: func(s *stand) { s.holdStreams(32, s.gossiper(s.receiver).encrypted(zeros())) }},
	{way: memberWithKey, keyed: true, name: "members and states announced on 200 streams", aim: "memory", most: streamMost,
		do: func(s *stand) { s.holdStreams(200, s.gossiper(s.receiver).encrypted(syncHead(1<<20, 20<<20))) }},
	{way: memberWithKey, keyed: true, name: "messages of nothing, and of no padding", aim: "the agent's end", do: func(s *stand) {
		g := s.gossiper(s.receiver)
		s.holdStreams(1, g.encrypted(nil))
		unpadded := g.seal(append(make([]byte, 15), 255), nil)
		unpadded[0] = 0 // the version that pads
		g.conn.Write(unpadded)
		g.packet(unpadded)
	}},
}

// streamMost is how many MiB an agent may take while streams are held: twice what lives,
// which is 48 MiB of streams and the agent's own, and some that is not collected yet.
const streamMost = 224

// holding is an attack that holds streams with the same on each.
func holding(streams int, raw []byte) func(*stand) {
	return func(s *stand) { s.holdStreams(streams, raw) }
}

// holdStreams opens streams to the receiver, a share from each of eight hosts, and writes
// the same on each. It keeps them until the agent closes them, or for three seconds.
func (s *stand) holdStreams(streams int, raw []byte) {
	const hosts = 8
	var writing sync.WaitGroup
	for i := range streams {
		writing.Go(func() {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 9, byte(1+i%hosts))}, Timeout: testkit.Patience}
			conn, err := d.Dial("tcp", s.receiver.Gossip)
			if err != nil {
				return // it is turned away
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(3 * time.Second))
			conn.Write(raw) // it may be cut off
			conn.Read(make([]byte, 1))
		})
	}
	writing.Wait()
}

// syncHead is the head of a full sync: so many nodes follow, and then so many bytes of
// serf's.
func syncHead(nodes, state int) []byte {
	return message(mlPushPull, mlSyncHead{Nodes: nodes, UserStateLen: state})
}

// encryptedHead announces so many bytes of an encrypted stream.
func encryptedHead(n uint32) []byte { return binary.BigEndian.AppendUint32([]byte{mlEncrypted}, n) }
