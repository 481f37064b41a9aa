package repair_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"agentctl/agent/config"
	"agentctl/agent/memnet"
	"agentctl/scripts/testkit"
)

// Bytes of headers below what memnet counts: IP and UDP, or IP and TCP.
const udpHeaders, tcpHeaders = 28, 52

// perMinute is what a node sends in a minute.
type perMinute struct{ bytes, packets float64 }

// atRest measures a cluster in which nothing happens. Acknowledgements of TCP
// count as one packet for each that carries bytes.
func atRest(t *testing.T, size int, links bool) (cost perMinute) {
	bubble(t, func(t *testing.T) {
		const minutes = 3
		all := agents(t, memnet.New(memnet.Config{MinDelay: 200 * time.Microsecond, MaxDelay: 2 * time.Millisecond}), size,
			func(o *config.Options) { o.PeerLinks = links })
		time.Sleep(2 * time.Minute) // they have told each other who is there
		sum := func() (bytes, packets int64) {
			for _, a := range all {
				s := a.transport.Sent()
				bytes += s.PacketBytes + s.Packets*udpHeaders + s.SegmentBytes + 2*s.Segments*tcpHeaders
				packets += s.Packets + 2*s.Segments
			}
			return bytes, packets
		}
		bytes, packets := sum()
		time.Sleep(minutes * time.Minute)
		bytes2, packets2 := sum()
		per := float64(minutes * size)
		cost = perMinute{float64(bytes2-bytes) / per, float64(packets2-packets) / per}
	})
	return cost
}

// TestCostAtRest has clusters in memory in which nothing happens, with links and
// repair and without, which is what serf itself sends. With
// AGENTCTL_TEST_REST_SIZE it is a cluster of that size.
func TestCostAtRest(t *testing.T) {
	sizes := []int{3, 6}
	if testkit.Long() {
		sizes = []int{3, 10}
	}
	if v := os.Getenv("AGENTCTL_TEST_REST_SIZE"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatal(err)
		}
		sizes = []int{n}
	}
	for _, size := range sizes {
		t.Run(fmt.Sprintf("%d nodes", size), func(t *testing.T) {
			with, without := atRest(t, size, true), atRest(t, size, false)
			t.Logf("a minute and node: %.1f KB and %.0f packets, without links and repair %.1f KB and %.0f",
				with.bytes/1000, with.packets, without.bytes/1000, without.packets)
			// Most of it is frames and acknowledgements: of 6 comparisons of its own, as
			// many of others, and yamux' questions whether the other side of each open
			// link is there.
			if more := with.bytes - without.bytes; more < 500 || more > float64(30_000+500*size) {
				t.Errorf("links and repair cost %.0f bytes a minute and node", more)
			}
		})
	}
}
