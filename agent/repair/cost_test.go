package repair

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"agentctl/handler"
)

// traffic counts a node's requests, and how long the longest messages were.
type traffic struct{ requests, bytes, request, answer int }

func (c *modelCluster) measure(n *modelNode) *traffic {
	tr, ask := &traffic{}, n.rep.cfg.Ask
	n.rep.cfg.Ask = func(ctx context.Context, peer string, req []byte) ([]byte, error) {
		resp, err := ask(ctx, peer, req)
		tr.requests++
		tr.bytes += len(req) + len(resp)
		tr.request, tr.answer = max(tr.request, len(req)), max(tr.answer, len(resp))
		return resp, err
	}
	return tr
}

func fill(b testing.TB, n *modelNode, count int, but ...int) {
	events := make([]handler.Event, 0, count)
	for i := range count {
		if len(but) == 0 || i != but[0] {
			events = append(events, handler.NewUser(uint64(1+i), "kong", []byte("payload"), time.Now()))
		}
	}
	if err := n.mem.Append(events...); err != nil {
		b.Fatal(err)
	}
}

// One event of 100,000 is found with a few short questions.
func TestOneOfManyIsLacking(t *testing.T) {
	inCluster(t, []int{200_000, 200_000}, func(t *testing.T, c *modelCluster) {
		a, b := c.nodes[0], c.nodes[1]
		fill(t, a, 100_000, 54_321)
		fill(t, b, 100_000)
		tr := c.measure(a)
		if _, err := a.rep.attempt(c.ctx, b.name); err != nil {
			t.Fatal(err)
		}
		holds(t, a, 1, 0)
		if tr.requests > 7 || tr.bytes > 4096 {
			t.Errorf("%d requests, %d bytes", tr.requests, tr.bytes)
		}
		t.Logf("%+v", *tr)
	})
}

// Much that is lacking comes in pages: of IDs, and of bytes.
func TestMuchIsLacking(t *testing.T) {
	for name, size := range map[string]int{"small": 10, "large": 9000, "huge": pageBytes + 1} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, []int{10_000, 10_000}, func(t *testing.T, c *modelCluster) {
				a, b := c.nodes[0], c.nodes[1]
				n := min(4321, 10<<20/size)
				for i := range n {
					e := handler.NewUser(uint64(1+i/50), fmt.Sprint(i), bytes.Repeat([]byte{'x'}, size), time.Now())
					b.take(e)
					if i%3 == 0 {
						a.take(e)
					}
				}
				tr := c.measure(a)
				if _, err := a.rep.attempt(c.ctx, b.name); err != nil {
					t.Fatal(err)
				}
				holds(t, a, n, 0)
				if tr.request > 64<<10 || tr.answer > pageBytes+max(size, 64<<10) {
					t.Errorf("the longest request has %d bytes, the longest answer %d", tr.request, tr.answer)
				}
				if most := 50 + n*max(size, 300)/pageBytes*3; tr.requests > most {
					t.Errorf("%d requests, at most %d are needed", tr.requests, most)
				}
			})
		})
	}
}

// All that is lacking of a long history comes, at no more than the set rate.
func TestRate(t *testing.T) {
	inCluster(t, []int{20_000, 20_000}, func(t *testing.T, c *modelCluster) {
		a, b := c.nodes[0], c.nodes[1]
		fill(t, b, 15_000)
		tr := c.measure(a)
		began := time.Now()
		if _, err := a.rep.attempt(c.ctx, b.name); err != nil {
			t.Fatal(err)
		}
		holds(t, a, 15_000, 0)
		if took := time.Since(began); took < 2*time.Second || took > 3*time.Second { // 5,000 come at once
			t.Errorf("15,000 events took %v", took)
		}
		if tr.requests > 34 { // 16 pages of IDs and 16 of events
			t.Errorf("%d requests", tr.requests)
		}
	})
}

func BenchmarkEqualJournals(b *testing.B) {
	c := newCluster(b.Context())
	n, p := c.add(200_000), c.add(200_000)
	fill(b, n, 100_000)
	fill(b, p, 100_000)
	for b.Loop() {
		if _, err := n.rep.attempt(c.ctx, p.name); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(c.bytes)/float64(b.N), "bytes/op")
}
