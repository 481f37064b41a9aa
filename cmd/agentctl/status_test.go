package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentctl/agent/api"
)

// longAgo is a time for which the tables need not know the time zone.
func longAgo() (now time.Time) { return time.Date(2026, 1, 31, 12, 0, 0, 0, time.Local) }

func TestStatusTable(t *testing.T) {
	t.Parallel()
	now := longAgo()
	oldest := now.Add(-time.Hour)
	s := &api.StatusReport{
		Node: "web 1", Version: "1.2.3", State: "alive", Joined: true, Members: map[string]int{"failed": 1, "alive": 12},
		Warnings: []string{"UDP port 7946 of web2 seems closed", "\x1b"},
		Trees: &api.TreesReport{Neighbours: 24, Served: []api.ServedReport{
			{Member: "stock\x1b", By: []string{"web1", "web 2"}}, {Member: "old"},
		}},
		Journal: api.JournalReport{Retained: 3, Oldest: oldest},
		Targets: []api.TargetReport{
			{Target: "kong", State: api.TargetOK, LastDelivered: now.Add(-3 * time.Second), Delivered: 1234,
				Collapsed: 7, LastError: "answered 500", Latency: api.Quantiles{P50: 0.0004, P90: 0.0123, P99: 90, Count: 5}},
			{Target: "cache\x1b[31m", State: api.TargetRetrying, Since: now.Add(-90 * time.Second), Waiting: 4,
				OldestWaiting: now.Add(-26 * time.Hour), Attempts: 7, Retried: 6, LastError: "answered 503: \x1b]0;"},
			{Target: "far", State: api.TargetStale, Since: now.Add(-72 * time.Hour), GapSince: now.Add(-72 * time.Hour),
				GapReason: "more events waited", Lost: 1, Attempts: 2, LastError: "no answer", Buried: 3, BuriedNow: 2},
		},
	}
	var out strings.Builder
	if err := printStatus(&out, s, now); err != nil {
		t.Fatal(err)
	}
	want := `node     "web 1": alive, version 1.2.3
members  12 alive, 1 failed
WARNING  UDP port 7946 of web2 seems closed
WARNING  "\x1b"
trees    events go along trees; this node has 24 neighbours
served   "stock\x1b" takes no part in trees, and gets events from web1 and "web 2"
served   old takes no part in trees, and gets events from gossip alone
journal  in memory; 3 events, back to ` + timestamp(oldest) + `

TARGET           STATE     WAITING  OLDEST  LAST    DELIVERED  RETRIED  BURIED  LOST  COLLAPSED  P50    P90     P99
kong             ok        0        -       3s ago  1234       0        0       0     7          0.4ms  12.3ms  1m30s
"cache\x1b[31m"  retrying  4        26h00m  -       0          6        0       0     0          -      -       -
far              stale     0        -       -       0          0        2       1     0          -      -       -

"cache\x1b[31m": failing for 1m30s, attempt 7: "answered 503: \x1b]0;"
far: lacks events since 3d ago, or may (more events waited): empty its cache, then "agentctl replay -target=far -accept-gap"
far: failing, attempt 2: no answer
far: 2 events refused for good: see "agentctl events -target=far -state=buried"
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("the status (-want +got):\n%s", diff)
	}
	if allWell(s) {
		t.Error("all is well, with a target that is stale")
	}
}

// Of very many members that take no part in trees, a few are listed.
func TestServedMembersAreCut(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	printTrees(&out, &api.TreesReport{Served: make([]api.ServedReport, mostServed+3)})
	if lines := strings.Split(strings.TrimSpace(out.String()), "\n"); len(lines) != mostServed+2 || lines[len(lines)-1] != "served   and 3 more; -format=json lists them" {
		t.Errorf("%q", lines)
	}
}

func TestGapNotes(t *testing.T) {
	t.Parallel()
	now := longAgo()
	gap := api.TargetReport{Target: "t", State: api.TargetStale, GapSince: now.Add(-time.Minute), GapReason: "history\nis gone", Lost: 7}
	refused, flushing, closed := gap, gap, gap
	refused.FlushesRefused = 1
	flushing.State = api.TargetFlushing
	closed.State, closed.GapSince = api.TargetOK, time.Time{} // what was lost before is told by the table
	const lacks = `t: lacks events since 1m00s ago, or may ("history\nis gone"): `
	for _, test := range []struct {
		s    api.TargetReport
		want []string
	}{
		{gap, []string{lacks + `empty its cache, then "agentctl replay -target=t -accept-gap"`}},
		{refused, []string{lacks + `empty its cache, then "agentctl replay -target=t -accept-gap"; or -flush in its place, to make the flush request that it refused once more`}},
		{flushing, []string{lacks + `it is flushed before anything else is posted`}},
		{closed, nil},
	} {
		if diff := cmp.Diff(test.want, targetNotes(&test.s, now)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.s.State, diff)
		}
	}
}

// The notes say when a target that fails is tried again, and why not now.
func TestNextNotes(t *testing.T) {
	t.Parallel()
	now := longAgo()
	const now12, ends = `t: tried again in 12s, as `, `; "agentctl replay -target=t -now" ends the wait`
	for why, want := range map[api.Why]string{
		api.WhyRefused:    "t: tried again as soon as it takes connections, or else in 12s",
		api.WhyRetryAfter: now12 + "its answer asked for" + ends,
		api.WhyBackoff:    now12 + "waits grow while it fails" + ends,
		"of a newer one":  now12 + "waits grow while it fails" + ends,
		api.WhyFlushed:    "t: flushed again in 12s, as a flush just now was followed by another loss" + ends,
	} {
		got := targetNotes(&api.TargetReport{Target: "t", NextAttempt: now.Add(12 * time.Second), NextWhy: why}, now)
		if diff := cmp.Diff([]string{want}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", why, diff)
		}
	}
	late := targetNotes(&api.TargetReport{Target: "t", NextAttempt: now.Add(-time.Second), NextWhy: api.WhyBackoff}, now)
	if diff := cmp.Diff([]string{"t: tried again now, as waits grow while it fails" + ends}, late); diff != "" {
		t.Errorf("due (-want +got):\n%s", diff)
	}
}

func TestJournalLine(t *testing.T) {
	t.Parallel()
	now := longAgo()
	sound := api.JournalReport{Retained: 5, DataDir: "/var/lib/agentctl", Disk: &api.DiskReport{}}
	if got := journalLine(&sound, now); got != "in /var/lib/agentctl, durable; 5 events" {
		t.Errorf("sound: %s", got)
	}
	sound.Disk.Unwritten = 1
	if got := journalLine(&sound, now); got != "in /var/lib/agentctl, durable but for 1 event; 5 events" {
		t.Errorf("with an event that is not in the file: %q", got)
	}
	bad := api.JournalReport{DataDir: "/d", Disk: &api.DiskReport{Degraded: true, Since: now.Add(-time.Minute), Error: "no space left on device", Unwritten: 9}}
	if got := journalLine(&bad, now); got != "in /d, DEGRADED for 1m00s: no space left on device; 9 events not in the file; 0 events" {
		t.Errorf("degraded: %s", got)
	}
	if allWell(&api.StatusReport{State: "alive", Joined: true, Journal: bad}) {
		t.Error("all is well, with a journal that is degraded")
	}
	if allWell(&api.StatusReport{State: "alive", Joined: true, Journal: sound, Warnings: []string{"a port is closed"}}) {
		t.Error("all is well, with a warning")
	}
	if !allWell(&api.StatusReport{State: "alive", Joined: true, Journal: sound}) {
		t.Error("not all is well")
	}
}
