package repair

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"agentctl/handler/journal"
	"agentctl/handler/varint"
)

// A lie makes a liar's answer of an honest one. The empty answer stands for the request,
// whose answer is of the same kind.
type lie func(ctx context.Context, liar *modelNode, a answer) []byte

// farAway is a number that no log comes to.
const farAway = 1 << 62

// onCompare changes the first answer of a comparison, and tells the truth in the others.
func onCompare(change func(liar *modelNode, a *compareAnswer)) lie {
	return func(_ context.Context, liar *modelNode, a answer) []byte {
		if c, ok := a.(*compareAnswer); ok {
			change(liar, c)
		}
		return encodeAnswer(a)
	}
}

// victimOf is an honest node that a liar speaks of.
func (c *modelCluster) victimOf(liar *modelNode) *modelNode {
	for _, n := range c.nodes {
		if n != liar && !n.liar && n.up {
			return n
		}
	}
	return liar
}

var lies = map[string]lie{
	"0 none": func(_ context.Context, _ *modelNode, a answer) []byte { return encodeAnswer(a) },
	"hearsay": func(_ context.Context, liar *modelNode, a answer) []byte {
		b := encodeAnswer(a)
		if _, ok := a.(*compareAnswer); !ok {
			return b
		}
		// As an older version has it at the end: the age, and watermarks.
		e := varint.Encoder(b[:len(b)-2])
		e.Uint(farAway)
		e.Uint(uint64(len(liar.c.nodes)))
		for _, n := range liar.c.nodes {
			e.Fixed(n.rep.state.incarnation())
			e.Uint(farAway)
		}
		return e
	},
	"another's log": onCompare(func(liar *modelNode, a *compareAnswer) {
		n := liar.c.victimOf(liar)
		a.incarnation, a.trimmed = n.rep.state.incarnation(), 0
		a.head, a.watermark, a.same, a.late = farAway, farAway, true, false
	}),
	"all is the same": onCompare(func(_ *modelNode, a *compareAnswer) {
		a.same, a.late, a.trimmed, a.watermark = true, false, 0, a.head
	}),
	"a head far away": onCompare(func(_ *modelNode, a *compareAnswer) {
		a.head, a.watermark, a.trimmed, a.same, a.late = farAway, farAway, 0, true, false
	}),
	"a trim above the head": onCompare(func(_ *modelNode, a *compareAnswer) { a.trimmed = a.head + 1<<50 }),
	"a trim that can be": onCompare(func(_ *modelNode, a *compareAnswer) {
		a.head += 1 << 50
		a.trimmed, a.records = a.head-1, false
	}),
	"a record where nothing is": func(_ context.Context, liar *modelNode, a answer) []byte {
		switch a := a.(type) {
		case *compareAnswer:
			a.head += 1 << 50
			a.trimmed = a.head - 1
			a.same, a.late = true, false
		case *recordAnswer:
			a.known, a.upTo, a.within, a.digest = true, farAway, blockSpan(farAway, 0), journal.Digest{}
		}
		return encodeAnswer(a)
	},
	"a trim at the end": func(_ context.Context, _ *modelNode, a answer) []byte {
		switch a := a.(type) {
		case *compareAnswer:
			a.late, a.watermark, a.trimmed = true, 0, 0
		case *idsAnswer:
			a.trimmed = 1 << 50
		}
		return encodeAnswer(a)
	},
	"nothing is there": func(_ context.Context, _ *modelNode, a answer) []byte {
		switch a := a.(type) {
		case *compareAnswer:
			a.late, a.same, a.digest.Count = true, false, 1<<40
		case *digestsAnswer:
			for i := range a.digests {
				a.digests[i] = journal.Digest{Count: 1 << 40, Hi: 1, Lo: 1}
			}
		case *idsAnswer:
			a.ids, a.more = nil, false
		case *eventsAnswer:
			a.events = nil
		}
		return encodeAnswer(a)
	},
	"a list without end": func(ctx context.Context, _ *modelNode, a answer) []byte {
		switch a := a.(type) {
		case *compareAnswer:
			a.late, a.watermark, a.trimmed = true, 0, 0
		case *idsAnswer:
			time.Sleep(time.Second)
			now := uint64(time.Now().UnixNano())
			a.more, a.ids = true, []listedID{{journal.LTimePos{LTime: 1, Seq: now}, "1-0123456789abcdef"}}
		case *eventsAnswer:
			a.done, a.events = 1, nil
		}
		return encodeAnswer(a)
	},
	"silence": func(ctx context.Context, _ *modelNode, _ answer) []byte {
		<-ctx.Done()
		return nil
	},
}

// lied is what a liar says in place of an honest answer.
func (n *modelNode) lied(ctx context.Context, req, resp []byte) []byte {
	m, err := decodeRequest(req)
	if err != nil {
		n.c.fail("a request is malformed: %v", err)
	}
	a := map[kind]answer{kindCompare: &compareAnswer{}, kindDigests: &digestsAnswer{}, kindIDs: &idsAnswer{}, kindEvents: &eventsAnswer{}, kindRecord: &recordAnswer{}}[m.kind()]
	if err := decodeAnswer(resp, a); err != nil {
		n.c.fail("an honest answer is malformed: %v", err)
	}
	return lies[n.lie](ctx, n, a)
}

func drawLie(t *rapid.T) string {
	return rapid.SampledFrom(slices.Sorted(maps.Keys(lies))).Draw(t, "lie")
}

// honest are the nodes that the promise is about.
func (c *modelCluster) honest() (all []*modelNode) {
	for _, n := range c.nodes {
		if !n.liar {
			all = append(all, n)
		}
	}
	return all
}

// Whatever some liars say, before and after, an event of an honest node comes to each other
// honest node, or that was flushed since. That holds of all but two nodes as liars.
func TestEveryEventOrAGapAmongLiars(t *testing.T) {
	checkModel(t, func(ctx context.Context, rt *rapid.T) {
		limits := rapid.SampledFrom([][]int{{1000}, {3}, {8}, {3, 8, 1000}, {8, 1000}}).Draw(rt, "limits")
		c := newCluster(ctx)
		c.t = rt
		nodes := rapid.IntRange(3, 6).Draw(rt, "nodes")
		c.near = rapid.IntRange(0, 2).Draw(rt, "near")
		for i := range nodes {
			c.add(limits[i%len(limits)])
		}
		for _, n := range c.nodes[nodes-rapid.IntRange(1, nodes-2).Draw(rt, "liars"):] {
			n.liar, n.lie = true, drawLie(rt)
		}
		actions := c.actions()
		for _, more := range []string{"", " 2", " 3"} {
			actions["another lie"+more] = func(*rapid.T) {
				var some []*modelNode
				for _, n := range c.nodes {
					if n.liar {
						some = append(some, n)
					}
				}
				rapid.SampledFrom(some).Draw(rt, "liar").lie = drawLie(rt)
			}
		}
		rt.Repeat(actions)
		c.settle()
		c.check()
	})
}
