package rpc

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/rpcclient/wire"
	"agentctl/scripts/testkit"
)

// queryAgent returns an agent whose queries run on a real node that never
// responds, and the responses as the server gets them.
func queryAgent(t *testing.T) (agent, <-chan *serf.QueryResponse) {
	node := newSerfAgent(t, "node", nil)
	started := make(chan *serf.QueryResponse, 10)
	return &fakeAgent{query: func(name string, payload []byte, p *serf.QueryParam) (*serf.QueryResponse, error) {
		r, err := node.Query(name, payload, p)
		started <- r
		return r, err
	}}, started
}

var longQuery = wire.QueryRequest{Name: "ask", RequestAck: true, Timeout: time.Hour}

// A running query ends at once when its client goes, is stopped by its Seq, or
// the server ends; its goroutine is seen to end by Serve, which waits for it.
func TestQueryEnds(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, c *client, query uint64, stopServer func()){
		"client gone": func(t *testing.T, c *client, _ uint64, _ func()) { c.conn.Close() },
		"server ends": func(t *testing.T, c *client, _ uint64, stop func()) { stop(); c.gone() },
		"stopped": func(t *testing.T, c *client, query uint64, _ func()) {
			stop := c.send(wire.Stop, wire.StopRequest{Stop: query})
			if got := c.answer(stop); got != "" { // with no record of the query ahead of it or after it
				t.Error(got)
			}
			c.must(wire.Members, nil, &wire.MembersResponse{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, started := queryAgent(t)
			p := newPipes()
			_, stop := serve(t, a, Config{}, p)
			c := p.dial(t).handshake()
			seq := c.send(wire.Query, longQuery)
			if got := c.answer(seq); got != "" {
				t.Fatal(got)
			}
			if got := c.queryRecord(seq); got.Type != wire.QueryAck || got.From != "node" {
				t.Errorf("record %+v", got)
			}
			end(t, c, seq, stop)
			resp := receive(t, started)
			testkit.WaitFor(t, "the query to end", resp.Finished)
			stop() // waits for the query's goroutine
		})
	}
}

// Queries count as streams of their connection: a Seq has one at a time, and
// there is a limit.
func TestQueriesAreLimited(t *testing.T) {
	a, started := queryAgent(t)
	c := servePipes(t, a, Config{maxStreams: 2}).dial(t).handshake()
	for _, want := range []string{"", wire.ErrStreamExists} {
		c.seq = 10
		if got := c.answerPastAcks(c.send(wire.Query, longQuery)); got != want {
			t.Errorf("query with Seq 11: %q, want %q", got, want)
		}
	}
	c.seq = 20
	for _, want := range []string{"", errTooManyStreams.Error()} {
		if got := c.answerPastAcks(c.send(wire.Query, longQuery)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	c.must(wire.Stop, wire.StopRequest{Stop: 11}, nil)
	c.seq = 10
	if got := c.answerPastAcks(c.send(wire.Query, longQuery)); got != "" {
		t.Errorf("after the stop: %q", got)
	}
	if len(started) != 3 { // what is refused does not reach the cluster
		t.Errorf("%d queries were started", len(started))
	}
}

// answerPastAcks reads an answer; then the ack of the query that it started.
func (c *client) answerPastAcks(seq uint64) string {
	c.t.Helper()
	text := c.answer(seq)
	if text == "" {
		if got := c.queryRecord(seq); got.Type != wire.QueryAck {
			c.t.Errorf("record %+v", got)
		}
	}
	return text
}

func TestPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pending
		in := func(d time.Duration) time.Time { return time.Now().Add(d) }
		q := func() *serf.Query { return &serf.Query{} }
		late := q()
		if id := p.add(late, in(0)); id != 1 || p.find(id) != nil {
			t.Error("a query that is past its deadline can be responded to")
		}
		short, long := q(), q()
		idShort, idLong := p.add(short, in(time.Second)), p.add(long, in(time.Hour))
		if p.find(idShort) != short || p.find(idLong) != long || p.find(idLong+1) != nil || p.find(0) != nil {
			t.Error("not found")
		}
		time.Sleep(time.Second)
		if p.find(idShort) != nil || p.find(idLong) != long {
			t.Error("after the first deadline")
		}
		for range maxPending - 1 {
			p.add(q(), in(time.Hour))
		}
		if p.find(idLong) != long {
			t.Error("forgotten before there are too many")
		}
		last := q()
		id := p.add(last, in(time.Hour))
		if p.find(idLong) != nil || p.find(id) != last {
			t.Error("the oldest is the one to forget")
		}
		for range 10 * maxPending {
			p.add(q(), in(time.Minute))
		}
		if len(p.queries) > maxPending {
			t.Errorf("%d are kept", len(p.queries))
		}
		time.Sleep(time.Minute)
		p.add(q(), in(time.Minute))
		if len(p.queries) != 1 {
			t.Errorf("%d are kept after their deadlines", len(p.queries))
		}
	})
}
