package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentctl/agent/api"
)

// someCluster has a member of each kind.
func someCluster(now time.Time) *api.ClusterReport {
	own := func(targets ...api.OwnTarget) *api.OwnStatus {
		return &api.OwnStatus{Version: "1.2.3", State: "alive", Members: map[string]int{"alive": 6, "failed": 1}, Links: 5, Targets: targets}
	}
	ok := api.OwnTarget{Target: "kong", State: api.TargetOK, LastDelivered: now.Add(-2 * time.Second), Delivered: 9, P99: 0.0021, Flushes: 1}
	failing := api.OwnTarget{Target: "cache", State: api.TargetRetrying, Waiting: 3, OldestWaiting: now.Add(-90 * time.Second), Lost: 2}
	closed := api.Problem{Text: "UDP port 7946 of web6 seems closed", Do: "agentctl status"}
	return &api.ClusterReport{Node: "web1", Time: now, Well: 1, NotWell: 4, Stock: 3, Former: 1, Left: 1, Members: []api.MemberReport{
		{Node: "web1", Addr: "10.0.0.1:7946", Status: "alive", Answer: api.AnswerGiven, Says: own(ok)},
		{Node: "web 2\x1b", Addr: "10.0.0.2:7946", Status: "alive", Answer: api.AnswerGiven, Says: own(failing, ok, ok), Problems: []api.Problem{
			{Target: "cache", Text: "retrying: answered 500", Do: "agentctl replay -now -target=cache"}, closed,
		}},
		{Node: "web3", Addr: "10.0.0.3:7946", Status: "alive", Answer: api.AnswerGiven, Says: own(), Problems: []api.Problem{closed}},
		{Node: "web4", Addr: "10.0.0.4:7946", Status: "alive", Answer: api.AnswerNone, Error: "no answer within 2s", Problems: []api.Problem{
			{Text: "it was asked how it is: no answer within 2s", Do: "agentctl status"},
		}},
		{Node: "web5", Addr: "10.0.0.5:7946", Status: "failed", Answer: api.AnswerFailed, Problems: []api.Problem{
			{Text: "serf takes it for failed", Do: "agentctl reachability", Here: true},
		}},
		{Node: "stock1", Addr: "10.0.0.6:7946", Status: "alive", Protocol: 5, Answer: api.AnswerStock, ServedBy: []string{"web1", "web3"}},
		{Node: "stock2", Addr: "10.0.0.7:7946", Status: "alive", Protocol: 4, Answer: api.AnswerStock},
		{Node: "stock3", Addr: "10.0.0.9:7946", Status: "alive", Protocol: 5, Answer: api.AnswerStock, ByGossip: true},
		{Node: "old", Addr: "10.0.0.8:7946", Status: "alive", Protocol: 5, Answer: api.AnswerFormer},
		{Node: "gone", Status: "left", Answer: api.AnswerLeft},
	}}
}

func TestClusterTable(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := printCluster(&out, someCluster(longAgo()), false); err != nil {
		t.Fatal(err)
	}
	want := `cluster  10 members as web1 sees it: 1 well, 4 NOT WELL, 3 stock serf, 1 of former versions, 1 left

NODE         ADDRESS        VERSION  STATE   ITSELF  MEMBERS  LINKS  TARGETS                   WAITING  OLDEST  LAST    P99    LOST  FLUSHED
web1         10.0.0.1:7946  1.2.3    alive   alive   6        5      1 ok                      0        -       2s ago  2.1ms  0     1
"web 2\x1b"  10.0.0.2:7946  1.2.3    alive   alive   6        5      1 retrying, 2 ok          3        1m30s   2s ago  2.1ms  2     2
web3         10.0.0.3:7946  1.2.3    alive   alive   6        5      -                         -        -       -       -      -     -
web4         10.0.0.4:7946  -        alive   silent  -        -      -                         -        -       -       -      -     -
web5         10.0.0.5:7946  -        failed  failed  -        -      -                         -        -       -       -      -     -
stock1       10.0.0.6:7946  serf/5   alive   -       -        -      served by web1 and web3   -        -       -       -      -     -
stock2       10.0.0.7:7946  serf/4   alive   -       -        -      served by each publisher  -        -       -       -      -     -
stock3       10.0.0.9:7946  serf/5   alive   -       -        -      served by gossip alone    -        -       -       -      -     -
old          10.0.0.8:7946  -        alive   former  -        -      -                         -        -       -       -      -     -
gone         -              -        left    left    -        -      -                         -        -       -       -      -     -

"web 2\x1b": target cache is retrying: answered 500; run "agentctl replay -now -target=cache" there
"web 2\x1b" and web3: UDP port 7946 of web6 seems closed; run "agentctl status" there
web4: it was asked how it is: no answer within 2s; run "agentctl status" there
web5: serf takes it for failed; run "agentctl reachability" on web1
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Of many members, those that are not well are listed, and with -all all.
func TestALargeClusterTable(t *testing.T) {
	t.Parallel()
	r := &api.ClusterReport{Node: "web000", Time: longAgo(), Well: 296, NotWell: 4}
	for i := range 300 {
		m := api.MemberReport{Node: fmt.Sprintf("web%03d", i), Status: "alive", Answer: api.AnswerGiven, Says: &api.OwnStatus{State: "alive"}}
		if i%80 == 1 {
			m.Problems = []api.Problem{{Text: "no node could be joined yet"}}
		}
		r.Members = append(r.Members, m)
	}
	var some, all strings.Builder
	if err := printCluster(&some, r, false); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(some.String(), "\n")
	if len(lines) != 11 || !slices.Contains(lines, "296 members not listed, since nothing is wrong there; -all lists all") ||
		!slices.Contains(lines, "web001, web081, web161 and 1 more: no node could be joined yet") {
		t.Errorf("%s", some.String())
	}
	if err := printCluster(&all, r, true); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(all.String(), "\n"); n != 2+1+300+2 {
		t.Errorf("with -all: %d lines", n)
	}
}
