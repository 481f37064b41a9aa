package link

import (
	"testing"
	"testing/synctest"
)

// A peer says that it is one, and learns of the asker; a stock agent is none; of others
// nobody knows.
func TestIsPeer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		var accepted []string
		a := memNode(t, mem, 1, withKeys("one"))
		b := memNode(t, mem, 2, func(c *Config) {
			withKeys("one")(c)
			c.Accepted = func(name string) { accepted = append(accepted, name) }
		})
		other := memNode(t, mem, 3, withKeys("two"))
		stock := mem.add(4)
		go func() {
			conn := <-stock.StreamCh()
			conn.Read(make([]byte, 1024))
			conn.Close() // as a stock agent does with what it does not know
		}()
		for range 2 {
			if ok, err := a.IsPeer(t.Context(), b.peer); !ok || err != nil {
				t.Errorf("a peer: %v, %v", ok, err)
			}
		}
		synctest.Wait()
		if n := mem.dialed(); n != 1 || len(accepted) != 1 || accepted[0] != "node1" {
			t.Errorf("%d links were opened; the peer was told of %q", n, accepted)
		}
		if ok, err := a.IsPeer(t.Context(), Peer{Name: "node4", Addr: stock.Addr().String()}); ok || err != nil {
			t.Errorf("a stock agent: %v, %v", ok, err)
		}
		for what, to := range map[string]Peer{
			"another key":    other.peer,
			"nobody there":   {Name: "node9", Addr: "10.9.9.9:7946"},
			"another's name": {Name: "node9", Addr: b.peer.Addr},
		} {
			if ok, err := a.IsPeer(t.Context(), to); ok || err == nil {
				t.Errorf("%s: %v, %v", what, ok, err)
			}
		}
	})
}
