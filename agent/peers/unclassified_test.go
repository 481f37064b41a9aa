package peers

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/scripts/testkit"
)

// Of a small cluster all that join are asked, at once.
func TestUnclassifiedMembersOfASmallCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, asked := askingPeers(t, "known", "a", "b")
		p.Found("known")
		u := &unclassified{peers: p, alive: func() []string { return numbered(smallCluster) }}
		u.add([]string{"known", "a", "b"})
		if got := asked(); len(got) != 1 || !slices.Equal(got[0].names, []string{"a", "b"}) || got[0].after != 0 {
			t.Errorf("asks %v", got)
		}
	})
}

// Of a large one a few are, in one question for all that joined meanwhile.
func TestUnclassifiedMembersOfALargeCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, asked := askingPeers(t, numbered(100)...)
		u := &unclassified{peers: p, alive: func() []string { return numbered(100) }}
		for i := range 50 {
			u.add([]string{fmt.Sprint(i), fmt.Sprint(i), "gone"})
		}
		limit := 100 * joinedStagger
		time.Sleep(limit)
		if got := asked(); len(got) != 1 || len(got[0].names) != wanted || got[0].after == 0 || slices.Contains(got[0].names, "gone") {
			t.Errorf("asks %v, want %d of them once", got, wanted)
		}
		u.add(numbered(100)[50:]) // so many that they are asked for sure
		time.Sleep(limit)
		if got := asked(); len(got) != 2 || got[1].after < limit {
			t.Errorf("asks %v, want those who joined later in a question of their own", got)
		}
	})
}

// Nobody is asked if one of them has asked.
func TestAMemberThatAsksSparesTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, asked := askingPeers(t, numbered(100)...)
		u := &unclassified{peers: p, alive: func() []string { return numbered(100) }}
		u.add([]string{"1", "2", "3"})
		p.Heard("2")
		time.Sleep(time.Hour)
		if got := asked(); len(got) != 0 {
			t.Errorf("asks %v", got)
		}
	})
}

// A member that joins a large cluster alone is asked by some eight of its nodes. By
// none of 4,000 it is only once in 10^14.
func TestAMemberThatJoinsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, trials = 1000, 4
		alive := numbered(size)
		asking := 0
		for range trials * size {
			logger, _ := testkit.NewLog()
			p := New(Config{Self: "self", Members: membersNamed(alive...), Links: true, Logger: logger})
			u := &unclassified{peers: p, alive: func() []string { return alive }}
			u.add(alive[:1])
			time.Sleep(size * joinedStagger)
			asking += len(p.due())
		}
		if asking == 0 || asking > 5*trials*wanted {
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
