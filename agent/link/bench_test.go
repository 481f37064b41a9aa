package link

import (
	"sync"
	"testing"
	"time"
)

// BenchmarkLatency is one message over an idle link on loopback, from Broadcast to
// Deliver.
func BenchmarkLatency(b *testing.B) {
	for name, keys := range map[string]func(*Config){"plain": nil, "keyed": withKeys("one")} {
		b.Run(name, func(b *testing.B) {
			arrived := make(chan struct{}, 1)
			from := netNode(b, "from", keys)
			to := netNode(b, "to", func(c *Config) {
				if keys != nil {
					keys(c)
				}
				c.Deliver = func(_ Peer, msgs [][]byte) Ack {
					for range msgs {
						arrived <- struct{}{}
					}
					return Ack{}
				}
			})
			msg := make([]byte, 300)
			for b.Loop() {
				from.Broadcast([]Peer{to.peer}, msg)
				<-arrived
			}
			from.stop()
			to.stop()
		})
	}
}

// BenchmarkBurst is 200,000 messages of 300 bytes, from the first Broadcast until all
// are delivered and acknowledged.
func BenchmarkBurst(b *testing.B) {
	const burst = 200_000
	for name, keys := range map[string]func(*Config){"plain": nil, "keyed": withKeys("one")} {
		b.Run(name, func(b *testing.B) {
			var all sync.WaitGroup
			from := netNode(b, "from", func(c *Config) {
				if keys != nil {
					keys(c)
				}
				c.queueMessages, c.queueBytes = burst, burst*400
			})
			to := netNode(b, "to", func(c *Config) {
				if keys != nil {
					keys(c)
				}
				c.Deliver = func(_ Peer, msgs [][]byte) Ack { all.Add(-len(msgs)); return Ack{} }
			})
			msg := make([]byte, 300)
			for b.Loop() {
				all.Add(burst)
				for range burst {
					if err := from.Broadcast([]Peer{to.peer}, msg); err != nil {
						b.Fatal(err)
					}
				}
				all.Wait()
				for from.pendingFor("to") {
					time.Sleep(100 * time.Microsecond)
				}
			}
			b.ReportMetric(burst*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
			if n := to.metric("agentctl_link_messages_total", "delivered"); n != burst*float64(b.N) {
				b.Errorf("%v messages were delivered of %d", n, burst*b.N)
			}
			from.stop()
			to.stop()
		})
	}
}

// BenchmarkNewLink is the first message to a peer: dial, handshake and all.
func BenchmarkNewLink(b *testing.B) {
	arrived := make(chan struct{}, 1)
	from := netNode(b, "from", withKeys("one"))
	to := netNode(b, "to", func(c *Config) {
		withKeys("one")(c)
		c.Deliver = func(Peer, [][]byte) Ack { arrived <- struct{}{}; return Ack{} }
	})
	for b.Loop() {
		from.Broadcast([]Peer{to.peer}, []byte("hello"))
		<-arrived
		from.Forget("to")
	}
	from.stop()
	to.stop()
}
