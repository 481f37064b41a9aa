//go:build linux

package attack

import "math/rand/v2"

// gossipTrials forge gossip.
var gossipTrials = []trial{
	{way: gossipPacket, name: "random packets", aim: "log", bitBefore: true, do: randomPackets},
}

// randomPackets sends packets of random bytes, as fast as it can.
func randomPackets(s *stand) {
	for _, n := range s.nodes() {
		conn, err := s.packets(n)
		if err != nil {
			s.t.Error(err)
			return
		}
		s.hold(func() {
			random := rand.NewChaCha8([32]byte{})
			for i := 0; s.ctx.Err() == nil; i++ {
				packet := make([]byte, 1+i%80)
				random.Read(packet)
				conn.Write(packet) // one that is lost is no matter
			}
		})
	}
}
