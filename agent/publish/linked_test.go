package publish

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/agent/link"
	"agentctl/agent/logs"
	"agentctl/scripts/testkit"
)

// A peer that sends nonsense costs a line now and then, not a line for each
// message, and the line names the peer.
func TestMalformedMessagesOfAPeerAreLoggedSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, log := testkit.NewLog()
		p := &Publisher{cfg: Config{Logger: logger}, sampled: logs.Sampled{Logger: logger}}
		nonsense := make([][]byte, 1000)
		for i := range nonsense {
			nonsense[i] = []byte("no event")
		}
		p.TakeLinked(link.Peer{Name: "liar"}, nonsense)
		if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "peer=liar") {
			t.Errorf("%d lines for 1000 messages of liar:\n%s", n, log)
		}
		time.Sleep(malformedEvery)
		p.TakeLinked(link.Peer{Name: "another"}, nonsense)
		if s := log.String(); strings.Count(s, "\n") != 2 || !strings.Contains(s, "peer=another") || !strings.Contains(s, "lines_left_out=999") {
			t.Errorf("a second later:\n%s", s)
		}
	})
}
