package gossip

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/serf/serf"
)

// A live member that is forced to leave at a node of ours says that it is alive, and is
// believed, with prune and without. Nothing has happened to it, so no event tells of it.
func TestALiveMemberDeniesAForcedLeave(t *testing.T) {
	for _, kinds := range []string{"os", "oo", "osso", "oooo"} {
		for _, prune := range []bool{false, true} {
			t.Run(fmt.Sprint(kinds, " prune=", prune), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := newClique(t, kinds)
					for at := range kinds {
						c.told(at, 1)
					}
					if denied, err := c.ours[0].ForceLeave("n1", prune); !denied || err != nil {
						t.Errorf("denied: %v, %v", denied, err)
					}
					if s := c.sees(0, 1); s != serf.StatusAlive {
						t.Errorf("it is %v", s)
					}
					time.Sleep(time.Minute)
					if !c.all(serf.StatusAlive) {
						t.Error("not all see all alive")
					}
					for at := range kinds {
						if told := c.told(at, 1); len(told) > 0 {
							t.Errorf("n%d is told %v", at, told)
						}
					}
				})
			})
		}
	}
}

// A dead member is forced to leave as in serf, also one that is not known to have
// failed yet.
func TestADeadMemberIsForcedToLeave(t *testing.T) {
	for _, detected := range []bool{true, false} {
		for _, prune := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				c := newClique(t, "oss")
				c.told(0, 1)
				if err := c.serfs[1].Shutdown(); err != nil {
					t.Fatal(err)
				}
				want := []string{"leave"}
				if detected {
					c.await("the failure", func() bool { return c.sees(0, 1) == serf.StatusFailed && c.sees(2, 1) == serf.StatusFailed })
					want = []string{"failed", "leave"}
				}
				if denied, err := c.ours[0].ForceLeave("n1", prune); denied || err != nil {
					t.Errorf("denied: %v, %v", denied, err)
				}
				status := serf.StatusLeft
				if prune {
					status = serf.StatusNone
					want = append(want, "reap")
				}
				c.await("it to be gone", func() bool { return c.sees(0, 1) == status && c.sees(2, 1) == status })
				time.Sleep(time.Minute)
				if got := c.told(0, 1); detected && !cmp.Equal(want, got) {
					t.Errorf("prune %v: told %v, want %v", prune, got, want)
				}
				if err := c.ours[0].Mend(); err != nil || c.sees(0, 1) != status {
					t.Errorf("mended: %v, %v", c.sees(0, 1), err)
				}
			})
		}
	}
}

// A join at either node brings back a live member that serf lists as leaving, whichever
// of the two is ours. Two nodes are alone, so serf does not tell the member.
func TestAJoinMendsAForcedLeave(t *testing.T) {
	for _, tt := range []struct {
		kinds  string // n1 is forced to leave at n0
		at, to int    // of the join
	}{
		{"oo", 0, 1}, {"oo", 1, 0}, {"os", 0, 1}, {"os", 1, 0}, {"so", 0, 1}, {"so", 1, 0},
	} {
		t.Run(fmt.Sprintf("%s join at n%d", tt.kinds, tt.at), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClique(t, tt.kinds)
				if err := c.serfs[0].RemoveFailedNode("n1"); err != nil { // as serf's own command does
					t.Fatal(err)
				}
				if s := c.sees(0, 1); s != serf.StatusLeaving {
					t.Fatalf("it is %v", s)
				}
				if err := c.join(tt.at, tt.to); err != nil {
					t.Error(err)
				}
				time.Sleep(5 * time.Second) // gossip
				if !c.all(serf.StatusAlive) {
					t.Errorf("n0 lists n1 as %v", c.sees(0, 1))
				}
			})
		})
	}
}

// After a prune a node of ours takes a live member back, with a join at either one. A
// node of serf's does not: the join says so, and to start the member anew helps.
func TestAJoinAfterAPrune(t *testing.T) {
	for _, tt := range []struct {
		kinds  string // n1 is pruned at all others
		at, to int    // of the join
		refuse string
	}{
		{"oo", 0, 1, ""}, {"oo", 1, 0, ""}, {"os", 0, 1, ""}, {"os", 1, 0, ""},
		{"so", 1, 0, "n0: the list of members there lacks this node"},
		{"sos", 1, 2, "n0, n2: the list of members there lacks this node"},
		{"oss", 1, 0, ""}, {"ooo", 2, 0, ""}, {"ooo", 1, 2, ""},
	} {
		t.Run(fmt.Sprintf("%s join at n%d", tt.kinds, tt.at), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClique(t, tt.kinds)
				c.told(0, 1)
				others := slices.DeleteFunc([]int{0, 1, 2}[:len(tt.kinds)], func(i int) bool { return i == 1 })
				for _, at := range others { // gossip may bring the denial first
					if err := c.serfs[at].RemoveFailedNodePrune("n1"); err != nil {
						t.Fatal(err)
					}
				}
				c.await("all others to have forgotten it", func() bool {
					return !slices.ContainsFunc(others, func(at int) bool { return c.sees(at, 1) != serf.StatusNone })
				})
				time.Sleep(10 * time.Second) // each prune by gossip erases it some seconds later
				err := c.join(tt.at, tt.to)
				if tt.refuse != "" {
					if err == nil || !strings.Contains(err.Error(), tt.refuse) || !strings.Contains(err.Error(), `run "leave" at this node, and start its agent again`) {
						t.Errorf("the join says %v, want %q", err, tt.refuse)
					}
					c.restart(tt.at)
					if err := c.join(tt.at, tt.to); err != nil {
						t.Error(err)
					}
					c.await("all to know all again", func() bool { return c.all(serf.StatusAlive) })
					return
				}
				if err != nil {
					t.Error(err)
				}
				time.Sleep(5 * time.Second)
				if s := c.sees(tt.at, tt.to); s != serf.StatusAlive {
					t.Errorf("n%d lists n%d as %v", tt.at, tt.to, s)
				}
				if tt.at < 2 && tt.to < 2 {
					if got := c.told(0, 1); !cmp.Equal([]string{"reap", "join"}, got) || c.sees(0, 1) != serf.StatusAlive {
						t.Errorf("n0 lists n1 as %v, and is told %v", c.sees(0, 1), got)
					}
				}
			})
		})
	}
}

// Members that meet do not list each other at first. That is no reason to dial all.
func TestANewNodeDialsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClique(t, "sso")
		if lacks := c.ours[2].denier.lacks(); lacks == 0 {
			t.Error("the full sync of the join lists the new node: this test shows nothing")
		}
		if doubts := c.ours[2].denier.doubts(); len(doubts) > 0 {
			t.Errorf("%v are doubtful", doubts)
		}
	})
}

// A living member that was forced to leave, or was forgotten, still gets events. One that
// has died does not.
func TestALivingMemberStaysReachable(t *testing.T) {
	for _, forced := range []struct {
		what  string
		by    func(*serf.Serf) error
		until serf.MemberStatus
	}{
		{"leave", func(s *serf.Serf) error { return s.RemoveFailedNode("n1") }, serf.StatusLeaving},
		{"prune", func(s *serf.Serf) error { return s.RemoveFailedNodePrune("n1") }, serf.StatusNone},
	} {
		t.Run(forced.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClique(t, "os")
				reachable := func() bool {
					return slices.ContainsFunc(c.ours[0].Reachable(), func(m serf.Member) bool {
						return m.Name == "n1" && m.Status == serf.StatusAlive && m.Port == 7946 && m.ProtocolMax > 0
					})
				}
				if err := forced.by(c.serfs[0]); err != nil {
					t.Fatal(err)
				}
				c.await("it is forced out", func() bool { return c.sees(0, 1) == forced.until })
				if !reachable() {
					t.Errorf("it is %v, and cannot be reached", c.sees(0, 1))
				}
				if err := c.serfs[1].Shutdown(); err != nil {
					t.Fatal(err)
				}
				c.await("it is found dead", func() bool { return !reachable() })
			})
		})
	}
}

// A node of ours needs no join to mend a prune.
func TestMendAfterAPrune(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClique(t, "os")
		c.told(0, 1)
		if err := c.serfs[0].RemoveFailedNodePrune("n1"); err != nil {
			t.Fatal(err)
		}
		c.await("it to be forgotten", func() bool { return c.sees(0, 1) == serf.StatusNone })
		if err := c.ours[0].Mend(); err != nil || c.sees(0, 1) != serf.StatusAlive {
			t.Errorf("n0 lists n1 as %v, %v", c.sees(0, 1), err)
		}
		if got := c.told(0, 1); !cmp.Equal([]string{"reap", "join"}, got) {
			t.Errorf("n0 is told %v", got)
		}
	})
}

// A member that leaves by itself does not deny it, however often it is asked.
func TestALeaveIsNotMended(t *testing.T) {
	for _, kinds := range []string{"oo", "os", "oso"} {
		synctest.Test(t, func(t *testing.T) {
			c := newClique(t, kinds)
			c.told(0, 1)
			done := make(chan error, 1)
			go func() { done <- c.serfs[1].Leave() }()
			for range 200 {
				if err := c.ours[0].Mend(); err != nil {
					t.Error(err)
				}
				time.Sleep(10 * time.Millisecond)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			if err := c.serfs[1].Shutdown(); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Minute)
			if got := c.told(0, 1); c.sees(0, 1) != serf.StatusLeft || !cmp.Equal([]string{"leave"}, got) {
				t.Errorf("it is %v, and n0 is told %v", c.sees(0, 1), got)
			}
		})
	}
}
