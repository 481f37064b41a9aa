package delegate

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/scripts/testkit"
)

// Few members are asked without delegates. Of many, no node asks or answers many times.
func TestNobodyAsksMany(t *testing.T) {
	t.Parallel()
	for size, most := range map[int]struct{ sent, answered int }{65: {64, 1}, 300: {40, 4}, 3000: {40, 4}} {
		bubble(t, func(t *testing.T) {
			c := newCluster(size)
			asker := c.nodes[c.names[0]]
			said, took := asker.inquiry(5 * time.Second)
			asker.want(t, said)
			if took > 60*time.Millisecond {
				t.Errorf("%d nodes took %v", size, took)
			}
			sent, asked := 0, 0
			for _, n := range c.nodes {
				sent += n.passed
				asked = max(asked, n.asked+n.passed)
			}
			if size <= 65 && sent > 0 || asked > most.answered {
				t.Errorf("%d nodes: %d requests to delegates, and one node was asked %d times", size, sent, asked)
			}
		})
	}
}

// lies are what a lying delegate may say of others.
var lies = map[string]func(rnd *rand.Rand, names []string, answers []*Answer){
	"made up": func(_ *rand.Rand, names []string, answers []*Answer) {
		for i := range answers {
			answers[i] = &Answer{Shared: []byte("final lie")}
		}
	},
	"of one": func(rnd *rand.Rand, _ []string, answers []*Answer) {
		answers[rnd.IntN(len(answers))] = &Answer{Shared: []byte("final lie")}
	},
	"not final": func(_ *rand.Rand, _ []string, answers []*Answer) {
		for i := range answers {
			answers[i] = &Answer{Shared: []byte("open lie")}
		}
	},
	"omitted": func(_ *rand.Rand, _ []string, answers []*Answer) { clear(answers) },
	"mixed": func(rnd *rand.Rand, _ []string, answers []*Answer) {
		for i := range answers {
			answers[i] = []*Answer{nil, {Shared: []byte("open lie")}, {Shared: []byte("final lie")}, answers[i]}[rnd.IntN(4)]
		}
	},
}

// One liar changes no final answer, and delays it by a moment.
func TestOneLiarIsNotBelieved(t *testing.T) {
	t.Parallel()
	runs := testkit.Setting(t, "AGENTCTL_TEST_DELEGATE_RUNS", 10, 300)
	for name, lie := range lies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(runs) {
				bubble(t, func(t *testing.T) {
					rnd := rand.New(rand.NewPCG(seed, 1))
					c := newCluster(66 + rnd.IntN(300))
					asker := c.nodes[c.names[0]]
					// Whoever the asker takes for a delegate first.
					path := rnd.IntN(2)
					g := asker.choice.split(c.names[1:], c.names[1:], 0, path)[0]
					liar := c.nodes[g.delegates[0]]
					liar.lie = func(names []string, answers []*Answer) { lie(rnd, names, answers) }
					for _, n := range c.nodes { // so that there are several rounds
						ready := time.Now().Add(time.Duration(rnd.IntN(40)) * time.Millisecond)
						n.truth = func() string {
							if time.Now().Before(ready) {
								return "open"
							}
							return "final " + n.name
						}
					}
					said, took := asker.inquiry(5 * time.Second)
					asker.want(t, said, liar.name) // it may say of itself what it likes
					if liar.passed == 0 || took > time.Second {
						t.Errorf("seed %d: the liar was asked %d times; %v", seed, liar.passed, took)
					}
				})
			}
		})
	}
}

// It is so, too, while many others have no final answer, so that delegates go on.
func TestALiarDelaysNothingWhileOthersAreOpen(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		c := newCluster(400)
		asker := c.nodes[c.names[0]]
		group := asker.choice.split(c.names[1:], c.names[1:], 0, 1)[0]
		liar := c.nodes[group.delegates[0]]
		liar.lie = func(names []string, answers []*Answer) { lies["not final"](nil, names, answers) }
		var others []string
		for _, n := range c.nodes {
			if !slices.Contains(group.names, n.name) {
				n.truth = func() string { return "open" }
				others = append(others, n.name)
			}
		}
		said, _ := asker.inquiry(300 * time.Millisecond)
		asker.want(t, said, append(others, liar.name)...)
		if liar.passed == 0 {
			t.Error("the liar was not asked")
		}
	})
}

// What a liar says of itself is its own answer, also as a delegate.
func TestADelegateSpeaksForItself(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		c := newCluster(100)
		asker := c.nodes[c.names[0]]
		said, _ := asker.inquiry(time.Second)
		asker.want(t, said)
		for _, n := range c.nodes {
			if n.passed > 0 && n.asked > 1 {
				t.Errorf("%s spoke to the asker, and was asked %d times more", n.name, n.asked)
			}
		}
	})
}

// Delegates that fail, in whatever way, cost a second at most.
func TestDelegatesThatFail(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*node){
		"deaf":     func(n *node) { n.deaf = true },
		"refusing": func(n *node) { n.refuses = true },
		"silent": func(n *node) {
			n.handle = func(ctx context.Context, _ []byte) ([]byte, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
		},
		"garbage": func(n *node) {
			n.handle = func(context.Context, []byte) ([]byte, error) { return bytes.Repeat([]byte{version}, 100), nil }
		},
		"empty": func(n *node) { n.handle = func(context.Context, []byte) ([]byte, error) { return nil, nil } },
		"overlong": func(n *node) {
			n.handle = func(context.Context, []byte) ([]byte, error) { return make([]byte, 4<<20), nil }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, all := range []bool{false, true} {
				bubble(t, func(t *testing.T) {
					c := newCluster(500)
					asker := c.nodes[c.names[0]]
					var deaf []string
					for i, n := range c.names[1:] {
						if all && name != "deaf" || i%10 == 0 {
							fail(c.nodes[n])
						}
						if c.nodes[n].deaf {
							deaf = append(deaf, n)
						}
					}
					said, took := asker.inquiry(time.Second)
					asker.want(t, said, deaf...)
					if name != "deaf" && took >= time.Second {
						t.Errorf("it took %v", took)
					}
					// Those that do not work are left alone from then on.
					time.Sleep(2 * longest)
					synctest.Wait()
					before := 0
					for _, n := range c.nodes {
						before += n.passed
						n.passed = 0
					}
					said, again := asker.inquiry(time.Second)
					asker.want(t, said, deaf...)
					for _, n := range c.nodes {
						if all && name != "deaf" && n.passed > 1 {
							t.Errorf("%s was passed %d requests again", n.name, n.passed)
						}
					}
					t.Logf("all %v: %v with %d requests, and then %v", all, took, before, again)
				})
			}
		})
	}
}

// Delegates that are busy are asked again soon, and are not left out. If they stay busy,
// the asker asks itself.
func TestBusyDelegates(t *testing.T) {
	t.Parallel()
	for name, free := range map[string]time.Duration{"for a moment": 5 * time.Millisecond, "for ever": time.Hour} {
		bubble(t, func(t *testing.T) {
			c := newCluster(500)
			asker := c.nodes[c.names[0]]
			began := time.Now()
			for _, n := range c.nodes {
				n.handle = func(ctx context.Context, raw []byte) ([]byte, error) {
					if time.Since(began) < free {
						return encodeBusy(version), nil
					}
					return n.Handle(ctx, asker.name, raw)
				}
			}
			said, took := asker.inquiry(5 * time.Second)
			asker.want(t, said)
			requests := 0
			for _, n := range c.nodes {
				requests += n.passed
			}
			if took > 100*time.Millisecond || len(asker.choice.leftOut) > 0 || requests > 10*mostGroups {
				t.Errorf("busy %s: %v, %d requests, %d left out", name, took, requests, len(asker.choice.leftOut))
			}
			if least := 2 * 2 * mostGroups; requests < least { // two delegates of each group, twice
				t.Errorf("busy %s: only %d requests, and not %d", name, requests, least)
			}
		})
	}
}

// A delegate that everybody uses lies: of a kind that two delegates cannot tell, nothing
// holds. The test shows the limit, which the package's page states.
func TestTwoLiarsOnBothPathsAreBelieved(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		c := newCluster(200)
		asker := c.nodes[c.names[0]]
		for path := range 2 {
			for _, g := range asker.choice.split(c.names[1:], c.names[1:], 0, path) {
				c.nodes[g.delegates[0]].lie = func(names []string, answers []*Answer) { lies["made up"](nil, names, answers) }
			}
		}
		said, _ := asker.inquiry(time.Second)
		for name, words := range said {
			if !strings.HasPrefix(words, "final lie") && c.nodes[name].lie == nil {
				t.Fatalf("%s: %s: then the page says too little", name, words)
			}
		}
	})
}

// An answer of one path is no answer, and is told to be none.
func TestHearsayDoesNotCount(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		c := newCluster(200)
		asker := c.nodes[c.names[0]]
		heard := 0
		q := asker.Inquire(nil, func(Answer) bool { return true }, func(name string, a Answer) { heard++ })
		r := Round{Names: c.names[1:], Pool: c.names[1:], Others: asker, Ask: func(context.Context, string) func() bool {
			return func() bool { return false }
		}}
		q.Round(t.Context(), r)
		<-q.Idle()
		delegates, hearsay := 0, 0
		for _, name := range c.names[1:] {
			delegates += c.nodes[name].passed
			if q.Hearsay(name) {
				hearsay++
			}
		}
		if heard > delegates || hearsay < 150 || !q.OneSided() || q.OneSided() {
			t.Errorf("after one path: %d heard, %d delegates, %d hearsay", heard, delegates, hearsay)
		}
		q.Round(t.Context(), r)
		q.Wait()
		for _, name := range c.names[1:] {
			if q.Hearsay(name) || !q.Heard(name) {
				t.Errorf("after both paths, %s: hearsay %v, heard %v", name, q.Hearsay(name), q.Heard(name))
			}
		}
	})
}
