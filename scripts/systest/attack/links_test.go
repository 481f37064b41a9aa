//go:build linux

package attack

import (
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"agentctl/scripts/testkit"
)

// Links are opened by hand here, as agent/link/DESIGN.md has them: an attacker keeps to
// no rules.
const (
	yamuxData, yamuxWindow = 0, 1
	yamuxSYN, yamuxFIN     = 1, 4
	yamuxHeader            = 12
	streamWindow           = 256 << 10 // what a stream may hold unread
)

// linkGrowth is by how much one link may make an agent grow, in KiB. Where there are many,
// what is not collected yet counts too.
const linkGrowth = 64 << 10

// openLink opens a plain link under a name.
func openLink(t *testing.T, v *victim, name string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", v.Gossip)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(2 * testkit.Patience))
	hello := append([]byte{1, 1}, make([]byte, 16)...) // versions, and no ID
	hello = append(hello, 100, byte(len(name)))        // the longest message
	hello = append(append(hello, name...), 0)          // no features
	b := binary.BigEndian.AppendUint16([]byte{0xA7, 1, 1, 0, 0, 0}, uint16(len(hello)))
	if _, err := conn.Write(append(b, hello...)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func frame(kind byte, flags uint16, stream uint32, body []byte) []byte {
	b := []byte{0, kind}
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint32(b, stream)
	return append(binary.BigEndian.AppendUint32(b, uint32(len(body))), body...)
}

// floodLink writes streams without end on a link, each of them full, until the link is
// closed or so many were written.
func floodLink(conn net.Conn, kind byte, streams int) (written int, err error) {
	body := make([]byte, streamWindow)
	body[0] = kind
	for ; written < streams; written++ {
		if _, err := conn.Write(frame(yamuxData, yamuxSYN, uint32(2*written+1), body)); err != nil {
			return written, err
		}
	}
	return written, nil
}

// publishTimed publishes n events, and returns how long all but one in a hundred took at
// most.
func (v *victim) publishTimed(t *testing.T, n int) time.Duration {
	t.Helper()
	var took []time.Duration
	for range n {
		begin := time.Now()
		v.publish(t, 1)
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	return took[n-1-n/100].Round(10 * time.Microsecond)
}

// A stranger opens streams without end, on one link and on many at a time. It costs the
// agent a bounded part of memory, and a client that behaves nothing.
func TestStreamsOfALinkWithoutEnd(t *testing.T) {
	asUsersHaveIt(t)
	streams := testkit.Setting(t, "AGENTCTL_TEST_LINK_STREAMS", 2000, 10_000)
	for name, links := range map[string]int{"one link": 1, "many links": 100} {
		// A kind that nobody knows, and requests that are longer than they may be.
		for kind, number := range map[string]byte{"unknown": 99, "requests": 2} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				v := newVictim(t, false, "", 0)
				quiet := v.publishTimed(t, 200)
				var attack sync.WaitGroup
				var conns []net.Conn
				for i := range links {
					conn := openLink(t, v, fmt.Sprint("stranger-", i))
					conns = append(conns, conn)
					go func() {
						var b [512]byte
						for {
							if _, err := conn.Read(b[:]); err != nil {
								return
							}
						}
					}()
					attack.Go(func() {
						n, err := floodLink(conn, number, max(1, streams/links))
						if links == 1 {
							t.Logf("%d streams were written, then: %v", n, err)
						}
					})
				}
				flooded := v.publishTimed(t, 200)
				attack.Wait()
				v.publish(t, 200)
				t.Logf("99 of 100 events were taken within %v, and before within %v", flooded, quiet)
				for _, conn := range conns {
					conn.Close()
				}
				grew := peakMemory(t, v.Node) - v.rss0
				t.Logf("memory: %d KiB before, %d KiB more at most", v.rss0, grew)
				if limit := linkGrowth * min(links, 10); grew > limit {
					t.Errorf("memory grew by %d KiB, more than %d", grew, limit)
				}
				v.checkWell(t)
			})
		}
	}
}
