package peers

import (
	"fmt"
	"slices"
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
