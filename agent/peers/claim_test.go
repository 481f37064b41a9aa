package peers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/link"
	"agentctl/scripts/testkit"
)

// claims is a peers that runs, and whose members answer over TCP as a test has it.
func claims(t *testing.T, members []string, shake func(m link.Peer) (bool, error)) (p *Peers, found, shaken func() []string) {
	var mu sync.Mutex
	var names, asked []string
	logger, _ := testkit.NewLog()
	p = New(Config{
		Self: "self", Members: membersNamed(members...), Links: true, Logger: logger,
		Query: func(string, []byte, *serf.QueryParam) (*serf.QueryResponse, error) {
			return nil, errors.New("nobody hears it")
		},
		OnFound: func(name string) {
			mu.Lock()
			defer mu.Unlock()
			names = append(names, name)
		},
		Shake: func(_ context.Context, m link.Peer) (bool, error) {
			mu.Lock()
			asked = append(asked, m.Name)
			mu.Unlock()
			return shake(m)
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { p.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	list := func(of *[]string) func() []string {
		return func() []string {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return slices.Sorted(slices.Values(*of))
		}
	}
	return p, list(&names), list(&asked)
}

// What is said in a member's name makes it no peer: it is asked over TCP, and counts as
// stock until it has said so itself.
func TestAClaimIsChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan bool)
		p, found, shaken := claims(t, []string{"ours", "stock"}, func(m link.Peer) (bool, error) {
			return m.Name == "ours" && <-answer, nil
		})
		p.Take(&serf.Query{Name: QueryName}) // of nobody
		for _, name := range []string{"stock", "ours", "stranger", "self"} {
			p.Heard(name)
		}
		synctest.Wait()
		if p.Is("ours") || p.Is("stock") || len(p.Known()) != 0 || len(found()) != 0 {
			t.Errorf("claims are believed: %q", found())
		}
		if !p.MayAnswer("ours", time.Now()) {
			t.Error("nobody waits for a member that is asked now")
		}
		answer <- true
		if got := found(); !slices.Equal(got, []string{"ours"}) || !p.Is("ours") || p.Is("stock") {
			t.Errorf("found %q", got)
		}
		// However often it is said again, a stock member is asked ever more seldom.
		for range 24 * 3600 {
			p.Heard("stock")
			p.Heard("ours")
			time.Sleep(time.Second)
		}
		if got := shaken(); len(got) < 24*6 || len(got) > 24*6+12 || p.Is("stock") {
			t.Errorf("members were asked %d times over TCP in a day, want once in 10 minutes", len(got))
		}
	})
}

// A member that cannot be reached is tried some times, and again after the next claim.
func TestAClaimOfABusyMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ready atomic.Bool
		p, found, shaken := claims(t, []string{"ours"}, func(link.Peer) (bool, error) {
			if !ready.Load() {
				return false, errors.New("it is busy")
			}
			return true, nil
		})
		p.Heard("ours")
		time.Sleep(time.Minute)
		if got := shaken(); len(got) != claimTries || p.claimed("ours") {
			t.Errorf("asked %d times", len(got))
		}
		p.Heard("ours")
		time.Sleep(time.Second)
		ready.Store(true)
		time.Sleep(time.Minute)
		if got := found(); len(got) != 1 {
			t.Errorf("found %q", got)
		}
	})
}

// What came of a claim holds for the member that it was about, not for one that has come
// back under its name since.
func TestAClaimOfAnEarlierIncarnation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan bool)
		p, found, _ := claims(t, []string{"member"}, func(link.Peer) (bool, error) { return <-answer, nil })
		p.Heard("member")
		synctest.Wait()
		p.Forget("member")
		p.Look([]string{"member"}) // it is back, as stock serf
		answer <- true
		if got := found(); len(got) != 0 || p.Knows("member") {
			t.Errorf("found %q", got)
		}
	})
}

// A question is answered if the answer goes to the member that asked and to nobody else,
// and not too often.
func TestAnswersGoToMembersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		home := netip.MustParseAddrPort("10.0.0.1:7946")
		to, relayed := home, false
		logger, log := testkit.NewLog()
		var names []string
		for i := range 1000 {
			names = append(names, fmt.Sprint(i))
		}
		p := New(Config{
			Self: "self", Members: membersNamed(names...), Logger: logger,
			ReplyTo: func(*serf.Query) (netip.AddrPort, bool) { return to, relayed },
		})
		answers := func(a netip.AddrPort, byOthers bool, names ...string) (n int) {
			to, relayed = a, byOthers
			for _, name := range names {
				p.mu.Lock()
				p.entry(name, true)
				p.mu.Unlock()
				if p.mayAnswer(name, &serf.Query{Name: QueryName}) {
					n++
				}
			}
			return n
		}
		for name, got := range map[string]int{
			"a stranger":            answers(home, false, "stranger"),
			"another host":          answers(netip.MustParseAddrPort("10.0.0.2:7946"), false, "1"),
			"another port":          answers(netip.MustParseAddrPort("10.0.0.1:53"), false, "1"),
			"relays":                answers(home, true, "1"),
			"a member, once":        answers(home, false, "1") - 1,
			"a member, very often":  answers(home, false, slices.Repeat([]string{"1"}, 100)...) - memberBurst + 1,
			"another one meanwhile": answers(home, false, "2") - 1,
			"all members":           answers(home, false, names...) - mostAnswers + memberBurst + 1,
		} {
			if got != 0 {
				t.Errorf("%s: %d answers too many or too few", name, got)
			}
		}
		testkit.Want(t, "lines", log.Count("a question for peers is not answered"), 1)
	})
}
