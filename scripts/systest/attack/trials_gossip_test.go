//go:build linux

package attack

import (
	"math/rand/v2"
	"time"
)

// gossipTrials forge gossip.
var gossipTrials = []trial{
	{way: gossipPacket, name: "random packets", aim: "log", bitBefore: true, do: randomPackets},
}

// randomPackets sends 10,000 packets of random bytes a second to the receiver.
func randomPackets(s *stand) {
	conn := s.packets(s.receiver)
	s.hold(func() {
		random := rand.NewChaCha8([32]byte{})
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for s.ctx.Err() == nil {
			for i := range 10 {
				packet := make([]byte, 1+(7*i)%80)
				random.Read(packet)
				conn.Write(packet) // one that is lost is no matter
			}
			<-tick.C
		}
	})
}
