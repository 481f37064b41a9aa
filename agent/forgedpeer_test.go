package agent

import (
	"bytes"
	"log"
	"testing"
	"time"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/peers"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
	"agentctl/scripts/testkit/serfnode"
)

// Whoever reaches the port can send the question for peers in the name of a stock member.
// The member gets its events straight all the same, and nobody gets an answer.
func TestAForgedQuestionMakesNoPeer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const events, questions = 100, 50
		a, stockLog := startWithGateway(t, wan), new(testkit.LogBuffer)
		stock := serfnode.New(t, memory.Network(t).Add(memory.Addr()), "stock", func(conf *serf.Config) {
			conf.MemberlistConfig.Logger = log.New(stockLog, "", 0)
		})
		if _, err := a.Join([]string{stock.Addr}, false); err != nil {
			t.Fatal(err)
		}
		for i := range questions {
			raw := bytes.NewBuffer([]byte{4}) // serf's messageQueryType
			err := codec.NewEncoder(raw, &codec.MsgpackHandle{}).Encode(struct {
				LTime       serf.LamportTime
				ID          uint32
				Addr        []byte
				Port        uint16
				SourceNode  string
				RelayFactor uint8
				Timeout     time.Duration
				Name        string
			}{serf.LamportTime(100 + i), uint32(i), []byte{192, 0, 2, 1}, 53, "stock", 4, time.Minute, peers.QueryName})
			must(t, err)
			a.serf.Inject(raw.Bytes())
		}
		testkit.WaitFor(t, "the stock member to be asked over TCP", func() bool { return stockLog.Count("Received invalid msgType (167)") == 1 })
		time.Sleep(time.Minute)
		if n := stockLog.Count("Received invalid msgType (167)"); n != 1 || a.peers.Is("stock") {
			t.Errorf("it is taken for a peer, or has %d lines about links", n)
		}
		if n := testkit.Counter(t, a.Metrics(), "agentctl_peer_questions_refused_total", "stranger"); n != questions {
			t.Errorf("%v of %d forged questions were refused", n, questions)
		}
		before := a.straight(t)
		a.publish(t, "straight", events)
		testkit.WaitFor(t, "all events to go straight", func() bool { return a.straight(t)-before == events })
	})
}
