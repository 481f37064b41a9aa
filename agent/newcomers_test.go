package agent

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/scripts/testkit"
)

// Of a small cluster all that join are asked, at once.
func TestNewcomersOfASmallCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, asked := askingPeers(t, "known", "a", "b")
		p.set("known", true)
		n := &newcomers{peers: p, alive: func() []string { return numbered(smallCluster) }}
		n.add([]string{"known", "a", "b"})
		if got := asked(); len(got) != 1 || !slices.Equal(got[0].names, []string{"a", "b"}) || got[0].after != 0 {
			t.Errorf("asks %v", got)
		}
	})
}

// Of a large one a few are, in one question for all that joined meanwhile.
func TestNewcomersOfALargeCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, asked := askingPeers(t, numbered(100)...)
		n := &newcomers{peers: p, alive: func() []string { return numbered(100) }}
		for i := range 50 {
			n.add([]string{fmt.Sprint(i), fmt.Sprint(i), "gone"})
		}
		limit := 100 * newcomersStagger
		time.Sleep(limit)
		if got := asked(); len(got) != 1 || len(got[0].names) != repairPeers || got[0].after == 0 || slices.Contains(got[0].names, "gone") {
			t.Errorf("asks %v, want %d of them once", got, repairPeers)
		}
		n.add(numbered(100)[50:]) // so many that they are asked for sure
		time.Sleep(limit)
		if got := asked(); len(got) != 2 || got[1].after < limit {
			t.Errorf("asks %v, want those who joined later in a question of their own", got)
		}
	})
}

// Nobody is asked if one of them has asked.
func TestANewcomerThatAsksSparesTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, asked := askingPeers(t, numbered(100)...)
		n := &newcomers{peers: p, alive: func() []string { return numbered(100) }}
		n.add([]string{"1", "2", "3"})
		p.set("2", true) // as take does
		time.Sleep(time.Hour)
		if got := asked(); len(got) != 0 {
			t.Errorf("asks %v", got)
		}
	})
}

// Who joins a large cluster alone is asked by some eight of its nodes: of 4,000 by
// none only once in 10^14.
func TestANewcomerThatComesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, trials = 1000, 4
		alive := numbered(size)
		asking := 0
		for range trials * size {
			logger, _ := testkit.NewLog()
			p := newPeers("self", membersNamed(alive...), nil, true, logger)
			n := &newcomers{peers: p, alive: func() []string { return alive }}
			n.add(alive[:1])
			time.Sleep(size * newcomersStagger)
			asking += len(p.due())
		}
		if asking == 0 || asking > 5*trials*repairPeers {
			t.Errorf("%d nodes ask in %d clusters of %d", asking, trials, size)
		}
	})
}

// numbered are the names of n members.
func numbered(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprint(i))
	}
	return names
}
