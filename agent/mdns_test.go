package agent

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/mdns"

	"agentctl/scripts/testkit"
)

func TestDiscoveryJoinsWhatItFindsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, _ := testkit.NewLog()
		j := &fakeJoiner{succeedAt: 1}
		d := &discovery{join: j, replay: true, logger: logger, seen: map[string]bool{"10.0.0.9:7946": true}}
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
		if !j.replays[0] {
			t.Error("replay is not asked for")
		}
	})
}
