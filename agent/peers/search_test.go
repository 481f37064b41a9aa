package peers

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"
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
