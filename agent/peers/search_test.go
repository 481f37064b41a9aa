package peers

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/handler/varint"
)

// A member that joins is asked whether it is a peer, also by a node that knows many:
// those may all be of its own half of a cluster that was split.
func TestAMemberThatJoinsIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := numbered(smallCluster - 1)
		p, asked := askingPeers(t, append(names, "from the other half")...)
		for _, name := range names {
			p.Found(name)
		}
		joined := []serf.Member{member("from the other half", serf.StatusAlive), member("self", serf.StatusAlive)}
		p.Joined(joined)
		if got := asked(); len(got) != 0 {
			t.Errorf("asks %v before the search has begun: a new node of a large cluster would ask all whom it meets", got)
		}
		p.Begin(false)
		p.Joined(joined)
		if got := asked(); len(got) != 1 || !slices.Equal(got[0].names, []string{"from the other half"}) {
			t.Errorf("asks %v", got)
		}
	})
}

// A node gets to know as many peers as it wants, and asks no more members for that,
// nor too often.
func TestPeersAreSearched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := numbered(100)
		p, asked := askingPeers(t, names...)
		if got := p.Find(); len(got) != 0 || len(asked()) != 0 {
			t.Errorf("before the search has begun: finds %q, asks %v", got, asked())
		}
		p.Begin(false)
		for range 10 {
			p.Find()
		}
		if got := asked(); len(got) != 1 || len(got[0].names) != wanted {
			t.Errorf("asks %v, want %d members once", got, wanted)
		}
		for _, name := range names[:wanted] {
			p.Found(name)
		}
		time.Sleep(100 * searchStagger)
		orders := map[string]bool{}
		for range 10 {
			got := p.Find()
			if slices.Sort(got); !slices.Equal(got, names[:wanted]) {
				t.Errorf("finds %q", got)
			}
			orders[strings.Join(p.Known(), " ")] = true
		}
		if len(orders) == 1 {
			t.Error("the order of those that are known is not random")
		}
		if got := asked(); len(got) != 1 {
			t.Errorf("asks %v, though it knows enough", got)
		}
	})
}

// A patient node of a large cluster does not ask at once.
func TestAPatientNodeWaits(t *testing.T) {
	at := map[time.Duration]bool{}
	for range 10 {
		synctest.Test(t, func(t *testing.T) {
			p, asked := askingPeers(t, numbered(100)...)
			p.Begin(true)
			for range 100 * searchStagger / time.Second {
				p.Find()
				time.Sleep(time.Second)
			}
			p.Find()
			if got := asked(); len(got) == 0 {
				t.Error("asks nobody")
			} else {
				at[got[0].after] = true
			}
		})
	}
	if len(at) < 3 {
		t.Errorf("ten nodes ask at %v", at)
	}
}

// Of many members that a node has heard of, it asks those alone that somebody here wants to
// know about. So the others of a large cluster need not answer.
func TestOnlyWhoIsWantedIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := numbered(100)
		p, asked := askingPeers(t, names...)
		for _, name := range names[:50] { // they have asked, say
			p.mu.Lock()
			p.entry(name, true)
			p.mu.Unlock()
		}
		p.Is(names[70])
		if got := asked(); len(got) != 1 || !slices.Equal(got[0].names, names[70:71]) {
			t.Errorf("asked %v", got)
		}
		time.Sleep(time.Hour)
		p.Is(names[71])
		if got := asked(); len(got) != 2 || !slices.Equal(got[1].names, names[71:72]) {
			t.Errorf("and then %v", got)
		}
	})
}

// In a large cluster a list of agents comes before a question that all would answer.
func TestAListComesBeforeAQuestionToAll(t *testing.T) {
	for what, list := range map[string][]string{"a list": numbered(97), "no answer": nil} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				names := numbered(100)
				p, asked := listingPeers(t, func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
					if list == nil {
						<-ctx.Done()
						return nil, ctx.Err()
					}
					e := varint.Encoder{agentsVersion}
					e.Bool(false)
					return appendNames(e, list), nil
				}, names...)
				p.Opened(names[3], true)
				p.Look(names)
				time.Sleep(listsFirst)
				want := names[97:]
				if list == nil {
					want = nil // all are asked
				}
				if got := asked(); len(got) != 1 || !slices.Equal(got[0].names, want) {
					t.Errorf("asked %v", got)
				}
			})
		})
	}
}
