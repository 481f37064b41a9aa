package membership

import (
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/mdns"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/peers"
	"agentctl/scripts/testkit"
)

func TestDiscoveryJoinsWhatItFindsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, _ := testkit.NewLog()
		j := &fakeJoiner{succeedAt: 1}
		d := &Discovery{members: func() []serf.Member { return nil }, join: func(addrs []string) (int, error) { return j.Join(addrs, true) }, logger: logger, self: "10.0.0.9:7946", seen: map[string]bool{}}
		found := make(chan *mdns.ServiceEntry, 32)
		look := func(hosts ...byte) {
			looked := make(chan struct{})
			done := make(chan struct{})
			go func() {
				defer close(done)
				d.gather(found, looked)
			}()
			for _, h := range hosts {
				if h == 0 { // a pause between answers
					time.Sleep(2 * mdnsQuiet)
					continue
				}
				found <- &mdns.ServiceEntry{Addr: net.IPv4(10, 0, 0, h), Port: 7946}
			}
			close(looked)
			<-done
		}
		look(1, 2, 9, 1, 0, 3) // 9 is the node itself
		look(1, 2, 3)          // 3 could not be joined
		want := [][]string{{"10.0.0.1:7946", "10.0.0.2:7946"}, {"10.0.0.3:7946"}, {"10.0.0.3:7946"}}
		if diff := cmp.Diff(want, j.calls); diff != "" {
			t.Errorf("joined (-want +got):\n%s", diff)
		}
	})
}

// Strangers on the local network choose the addresses: however many they answer
// with, one look joins some of them, and only so many are remembered.
func TestDiscoveryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, _ := testkit.NewLog()
		var joined []string
		d := &Discovery{members: func() []serf.Member { return nil }, join: func(addrs []string) (int, error) {
			joined = append(joined, addrs...)
			return len(addrs), nil
		}, logger: logger, self: "10.0.0.9:7946", seen: map[string]bool{}}
		for look := range 3 * mdnsSeen / mdnsNew {
			before := len(joined)
			found, looked := make(chan *mdns.ServiceEntry), make(chan struct{})
			go func() {
				for i := range 4 * mdnsNew {
					found <- &mdns.ServiceEntry{Addr: net.IPv4(10, 1, byte(look), byte(i)), Port: 7946}
				}
				close(looked)
			}()
			d.gather(found, looked)
			if n := len(joined) - before; n != mdnsNew {
				t.Fatalf("one look joins %d addresses, want %d", n, mdnsNew)
			}
			if len(d.seen) > mdnsSeen {
				t.Fatalf("%d addresses are remembered, want %d at most", len(d.seen), mdnsSeen)
			}
		}
		if last := joined[len(joined)-1]; len(d.seen) != mdnsSeen || !d.seen[last] {
			t.Errorf("%d addresses are remembered, among them the last: %v", len(d.seen), d.seen[last])
		}
	})
}

// In a large cluster all answer. A few of them are joined, and tell of the others. The next
// look comes later.
func TestDiscoveryOfALargeCluster(t *testing.T) {
	logger, _ := testkit.NewLog()
	var batch []string
	var all, members []serf.Member
	for i := range 640 {
		m := member(fmt.Sprint("n", i), fmt.Sprintf("10.0.%d.%d:7946", i/256, i%256), serf.StatusAlive)
		batch, all = append(batch, peers.Addr(m)), append(all, m)
	}
	joined := 0
	d := &Discovery{members: func() []serf.Member { return members }, logger: logger, join: func(addrs []string) (int, error) {
		joined += len(addrs)
		members = all
		return len(addrs), nil
	}}
	if d.poll() != mdnsPoll {
		t.Errorf("alone it looks each %v", d.poll())
	}
	d.joinBatch(batch)
	if joined != joinMost || d.poll() != 10*mdnsPoll {
		t.Errorf("%d of %d are joined; the next look comes after %v", joined, len(all), d.poll())
	}
}
