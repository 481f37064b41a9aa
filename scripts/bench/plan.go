//go:build linux

package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// plan says how much is measured.
type plan struct {
	limit time.Duration // of the whole run

	nodes       []int         // latency: cluster sizes
	profiles    []string      // latency: of gossip
	latencyTime time.Duration // of one cluster, but
	latencyMin  int           // so many events at least
	latencyMax  int           // and at most

	bursts    []int // on three nodes
	tenBurst  int   // on ten; 0: none
	scripted  int   // the burst for stock serf with scripts; 0: none
	rateList  []int // events a second, on three nodes
	rateTime  time.Duration
	mixedList []int         // bursts
	quiet     time.Duration // no delivery for so long: nothing comes any more
	settle    time.Duration // the longest wait for the last delivery

	costTime     time.Duration // at rest, and again under load
	pairs        int           // of commands
	publishPairs int
	startPairs   int

	batch       int // events in a batch
	batchTurns  int
	memoryBurst int

	contests  []contest // with other programs
	peerPairs int       // turns of each
	singles   int       // single events in each
	serfBurst int       // for three nodes of stock serf, which takes events no faster than its script runs

	simNodes    []int    // sizes of the simulated clusters
	simProfiles []string // of gossip
	simEvents   int      // of each way

	broadcastNodes  int // in the largest cluster of the broadcast layer
	broadcastEvents int // in each case, and five times as many in a burst
}

// A quiet spell has to be longer than the rounds of wan gossip, 500 ms each, by
// a good deal: near the end a stock agent brings out one event in some rounds.
var fullPlan = plan{
	limit:        100 * time.Minute,
	nodes:        []int{3, 10, 30},
	profiles:     []string{"lan", "wan"},
	latencyTime:  6 * time.Second,
	latencyMin:   20,
	latencyMax:   100,
	bursts:       []int{500, 1_000, 5_000, 20_000},
	tenBurst:     5_000,
	scripted:     500,
	rateList:     []int{40, 160, 640, 2_500},
	rateTime:     5 * time.Second,
	mixedList:    []int{500, 1_000, 5_000, 20_000},
	quiet:        6 * time.Second,
	settle:       time.Minute,
	costTime:     time.Minute,
	pairs:        60,
	publishPairs: 10,
	startPairs:   20,
	batch:        200_000,
	batchTurns:   5,
	memoryBurst:  100_000,
	contests:     []contest{{1, 20_000}, {3, 20_000}, {10, 5_000}},
	peerPairs:    5,
	singles:      50,
	serfBurst:    300,
	simNodes:     []int{100, 200},
	simProfiles:  []string{"lan"},
	simEvents:    10,

	broadcastNodes:  10_000,
	broadcastEvents: 200,
}

var shortPlan = plan{
	limit:        10 * time.Minute,
	nodes:        []int{3},
	profiles:     []string{"lan"},
	latencyTime:  2 * time.Second,
	latencyMin:   8,
	latencyMax:   40,
	bursts:       []int{1_000},
	rateList:     []int{160},
	rateTime:     1 * time.Second,
	mixedList:    []int{1_000},
	quiet:        3 * time.Second,
	settle:       5 * time.Second,
	costTime:     10 * time.Second,
	pairs:        20,
	publishPairs: 2,
	startPairs:   5,
	batch:        50_000,
	batchTurns:   3,
	memoryBurst:  20_000,
	contests:     []contest{{3, 5_000}, {10, 2_000}},
	peerPairs:    5,
	singles:      20,
	serfBurst:    100,
	simNodes:     []int{100},
	simProfiles:  []string{"lan"},
	simEvents:    5,

	broadcastNodes:  100,
	broadcastEvents: 100,
}

// burstPosts is how many POSTs a burst comes to in a contest that -nodes asks for.
const burstPosts = 50_000

// resize has clusters of other sizes compared: numbers with commas between them.
func (p *plan) resize(list string) error {
	if list == "" {
		return nil
	}
	p.nodes, p.contests = nil, nil
	for _, word := range strings.Split(list, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 || n > 200 {
			return fmt.Errorf("-nodes=%s: give numbers from 1 to 200", list)
		}
		p.nodes = append(p.nodes, n)
		p.contests = append(p.contests, contest{n, burstPosts / n})
	}
	return nil
}
