package repair

import (
	"context"
	"testing"
	"time"
)

// A peer has let go of what was not compared, and this node had it from another. The
// peer's record shows that. If the peer is of an older version, it cannot show it, and it
// is not asked for its record; then this node is flushed.
func TestARecordShowsThatNothingIsLacking(t *testing.T) {
	for _, old := range []bool{false, true} {
		inCluster(t, []int{1000, 1000, 20}, func(t *testing.T, c *modelCluster) {
			a, witness, small := c.nodes[0], c.nodes[1], c.nodes[2]
			asked := 0
			ask := a.rep.cfg.Ask
			a.rep.cfg.Ask = func(ctx context.Context, peer string, req []byte) ([]byte, error) {
				m, _ := decodeRequest(req)
				if m.kind() == kindRecord {
					asked++
				}
				resp, err := ask(ctx, peer, req)
				if answer := new(compareAnswer); old && m.kind() == kindCompare && decodeAnswer(resp, answer) == nil {
					answer.records = false
					resp = encodeAnswer(answer)
				}
				return resp, err
			}
			for range 5 {
				c.tell(10, small)
				time.Sleep(20 * time.Second)
				if _, err := witness.rep.attempt(c.ctx, small.name); err != nil {
					t.Fatal(err)
				}
				if _, err := a.rep.attempt(c.ctx, witness.name); err != nil {
					t.Fatal(err)
				}
			}
			holds(t, a, 50, 0)
			c.rounds(2)
			wantAsked, wantGaps := 1, 0
			if old {
				wantAsked, wantGaps = 0, 1
			}
			holds(t, a, 50, wantGaps)
			if asked != wantAsked {
				t.Errorf("asked for the record %d times", asked)
			}
		})
	}
}

// An event that only the peer had, and let go of, is still a reason for a flush, though all
// others were here.
func TestARecordHidesNothing(t *testing.T) {
	inCluster(t, []int{1000, 1000, 20}, func(t *testing.T, c *modelCluster) {
		a, witness, small := c.nodes[0], c.nodes[1], c.nodes[2]
		c.tell(30, a, witness, small)
		c.tell(1, small)
		c.tell(30, a, witness, small)
		time.Sleep(20 * time.Second)
		c.rounds(2)
		holds(t, a, 60, 1)
		holds(t, witness, 60, 1)
		holds(t, small, 61, 0)
	})
}
