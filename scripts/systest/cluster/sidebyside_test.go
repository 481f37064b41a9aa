package cluster

import "testing"

// TestSideBySide runs tests that wait nearly all the time: for gossip, for a failure to be
// found, for serf's own timers. Each has a cluster of its own.
func TestSideBySide(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"mixed":                   testMixed,
		"pairings":                testPairings,
		"member events":           testMemberEvents,
		"forced leave":            testForcedLeave,
		"files go back and forth": testFiles,
		"burst at a stock member": testBurstAtAStockMember,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}
