package publish

import (
	"math"
	"strings"
	"testing"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/gossip"
)

// An event with encodedOverhead to spare need not be encoded to see that it fits.
func TestEncodedOverhead(t *testing.T) {
	most := 0
	for _, n := range []int{0, 31, 32, 255, 256, 1400, 65535} {
		for _, ltime := range []serf.LamportTime{0, 127, 128, 1 << 16, 1 << 32, math.MaxUint64} {
			m := &gossip.Message{LTime: ltime, Name: strings.Repeat("n", n), Payload: make([]byte, n), CC: true}
			raw, err := m.Encode()
			if err != nil {
				t.Fatal(err)
			}
			most = max(most, len(raw)-2*n)
		}
	}
	if most != encodedOverhead {
		t.Errorf("encoding adds %d bytes at most, and encodedOverhead is %d", most, encodedOverhead)
	}
}
