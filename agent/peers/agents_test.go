package peers

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/agent/link"
	"agentctl/handler/varint"
	"agentctl/scripts/testkit"
)

// calls are those of OnAgents and OnNoAgent.
type calls []string

func listed(t *testing.T, names ...string) (*Peers, *calls) {
	logger, _ := testkit.NewLog()
	var c calls
	p := New(Config{
		Self: "self", Members: membersNamed(names...), Links: true, Logger: logger,
		OnAgents:  func(names []string, told bool) { c = append(c, fmt.Sprint("agents ", names, " ", told)) },
		OnNoAgent: func(name string) { c = append(c, "no agent "+name) },
	})
	return p, &c
}

func (p *Peers) sorted() string {
	agents, former, rest := p.Sort(p.cfg.Members())
	return fmt.Sprint(AliveNames(agents), AliveNames(former), AliveNames(rest))
}

// What others say of a member counts until this node finds out, and of members alone.
func TestWhatOthersSayOfAgents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := listed(t, "a", "b", "c", "self")
		expect := func(step, sorted string, said ...string) {
			t.Helper()
			if got := p.sorted(); got != sorted || !slices.Equal(*c, said) {
				t.Errorf("%s: %s, told %q; want %s and %q", step, got, *c, sorted, said)
			}
			*c = nil
		}
		expect("at first", "[] [] [a b c self]")
		p.Told([]string{"a", "b", "self", "stranger"})
		expect("told", "[a b] [] [c self]", "agents [a b] true")
		if !p.Knows("a") || p.Met("a") || len(p.Known()) > 0 {
			t.Error("a member that others name is met")
		}
		p.Told([]string{"a"})
		expect("told again", "[a b] [] [c self]")
		p.Opened("a", true)
		expect("found", "[a b] [] [c self]", "agents [a] true")
		p.Opened("c", true)
		expect("found by itself", "[a b c] [] [self]", "agents [c] false")
		p.Opened("b", false)
		expect("of a former version", "[a c] [b] [self]", "no agent b")
		p.NoPeer("c")
		expect("no peer any more", "[a] [b] [c self]", "no agent c")
		p.Told([]string{"c"})
		expect("it may be one again", "[a c] [b] [self]", "agents [c] true")
		p.NoPeer("c")
		p.Told([]string{"c"})
		expect("what was false is not believed soon", "[a] [b] [c self]", "no agent c")
		time.Sleep(askSeldom)
		p.Told([]string{"c"})
		expect("but later", "[a c] [b] [self]", "agents [c] true")
		p.Denied([]string{"a", "b", "c", "stranger"})
		expect("denied", "[] [b] [a c self]")
		p.Told([]string{"c"})
		expect("told behind a denial", "[] [b] [a c self]")
		time.Sleep(askSeldom)
		p.Told([]string{"c"})
		p.Denied([]string{"c"})
		expect("denied after long", "[] [b] [a c self]", "agents [c] true")
	})
}

// A denial of a member counts ever more seldom.
func TestDenialsAreBelievedSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := listed(t, "a", "self")
		denied, began := 0, time.Now()
		for time.Since(began) < time.Hour {
			p.Opened("a", true)
			p.Denied([]string{"a"})
			if p.sorted() == "[] [] [a self]" {
				denied++
			}
			time.Sleep(time.Second)
		}
		if denied < 3 || denied > 20 {
			t.Errorf("in an hour %d of 3600 denials counted", denied)
		}
	})
}

// Any bytes get an answer or an error, and no list of one who asks too often.
func TestListsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := listed(t, "a", "self")
		p.Opened("a", true)
		ask := append(varint.Encoder{agentsVersion}, make([]byte, 9)...)
		sent := 0
		for range 1000 {
			if _, err := p.Answer(t.Context(), link.Peer{Name: "a"}, ask); err == nil {
				sent++
			}
		}
		if sent != mostLists {
			t.Errorf("%d lists were sent at once", sent)
		}
		for _, b := range [][]byte{nil, {0}, {agentsVersion}, ask[:5], append(slices.Clone(ask[:9]), 0xff, 0xff, 0x7f)} {
			if answer, err := p.Answer(t.Context(), link.Peer{Name: "a"}, b); err == nil {
				t.Errorf("%x is answered with %x", b, answer)
			}
		}
	})
}

// At rest lists are compared ever more seldom, and with agents to which links are kept.
func TestListsAreComparedSeldomAtRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, _ := testkit.NewLog()
		var mu sync.Mutex
		asked := map[string]int{}
		differs := false
		p := New(Config{
			Self: "self", Members: membersNamed("a", "b", "c", "d", "e", "self"), Links: true, Logger: logger, FullyLinked: 2,
			Near: func() []string { return []string{"d", "gone"} },
			Ask: func(_ context.Context, name string, _ []byte) ([]byte, error) {
				mu.Lock()
				defer mu.Unlock()
				asked[name]++
				e := varint.Encoder{agentsVersion}
				if e.Bool(!differs); differs {
					e = appendNames(e, []string{"a", "b", "c", "d", "self"})
				}
				return e, nil
			},
		})
		done := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { done <- p.Run(ctx) }()
		for _, name := range []string{"a", "b", "c", "d"} {
			p.Opened(name, true)
		}
		within := func(d time.Duration) (all, near int) {
			synctest.Wait()
			mu.Lock()
			clear(asked)
			mu.Unlock()
			time.Sleep(d)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			for _, n := range asked {
				all += n
			}
			return all, asked["d"]
		}
		within(5 * time.Minute)
		most := int(time.Hour/(compareEvery<<compareSeldom)) * 5 / 4
		if all, near := within(time.Hour); all == 0 || all > most || near != all {
			t.Errorf("at rest %d lists are compared in an hour, %d of them with a near agent; want %d at most", all, near, most)
		}
		p.Told([]string{"e"})
		if all, _ := within(compareSoon); all != 1 {
			t.Errorf("within a second after the list has grown %d are compared", all)
		}
		mu.Lock()
		differs = true
		mu.Unlock()
		within(2 * (compareEvery << compareSeldom)) // until it knows that they differ
		least := int(time.Hour/compareEvery) * 3 / 4
		if all, _ := within(time.Hour); all < least {
			t.Errorf("while they differ %d lists are compared in an hour, want %d", all, least)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
