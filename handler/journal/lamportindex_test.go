package journal_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/journal/disk"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/disks"
)

// drawLTime draws Lamport times that are close together, and some that jump.
func drawLTime(t *rapid.T, label string) uint64 {
	return rapid.OneOf(
		rapid.Uint64Range(0, 40), rapid.Uint64Range(250, 260), rapid.Uint64(),
		rapid.SampledFrom([]uint64{15, 16, 255, 256, 1<<60 - 1, 1 << 60, math.MaxUint64}),
	).Draw(t, label)
}

// naive is what a journal's log must give, computed from all of it.
type naive []journal.Record

func (n naive) digest(from, to uint64) (d journal.Digest) {
	for _, rec := range n {
		if e := rec.Event; e.Type == handler.User && from <= e.LTime && e.LTime <= to {
			h := sha256.Sum256([]byte(e.ID))
			var carry uint64
			d.Count++
			d.Lo, carry = bits.Add64(d.Lo, binary.BigEndian.Uint64(h[8:]), 0)
			d.Hi, _ = bits.Add64(d.Hi, binary.BigEndian.Uint64(h[:]), carry)
		}
	}
	return d
}

func (n naive) page(r journal.LTimeRange, limit int) (page []journal.Record) {
	for _, rec := range n {
		at := journal.LTimePos{LTime: rec.Event.LTime, Seq: rec.Seq}
		behind := at.LTime > r.After.LTime || at.LTime == r.After.LTime && at.Seq > r.After.Seq
		if rec.Event.Type == handler.User && r.From <= at.LTime && at.LTime <= r.To && at.Seq > r.Above && behind {
			page = append(page, rec)
		}
	}
	slices.SortStableFunc(page, func(a, b journal.Record) int {
		switch {
		case a.Event.LTime < b.Event.LTime:
			return -1
		case a.Event.LTime > b.Event.LTime:
			return 1
		}
		return 0
	})
	return page[:min(len(page), limit)]
}

// Whatever is appended and trimmed, digests and pages are those that a look at
// the whole log gives, and what was there is known.
func TestLTimeIndexAgainstTheLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		maxEvents := rapid.IntRange(1, 30).Draw(t, "max events")
		j := journal.New(journal.Config{MaxEvents: maxEvents})
		var log naive
		var had []string
		var trimmed, floor uint64
		for i := range rapid.IntRange(0, 60).Draw(t, "events") {
			e := handler.NewUser(min(drawLTime(t, "ltime"), handler.EndLTime), fmt.Sprint("e", i), nil, time.Now())
			if rapid.IntRange(0, 5).Draw(t, "type") == 0 {
				e = handler.NewMember(handler.MemberJoin, fmt.Sprint("m", i), nil, time.Now())
			}
			if err := j.Append(e); err != nil {
				t.Fatal(err)
			}
			log = append(log, journal.Record{Seq: uint64(i) + 1, Event: e})
			had = append(had, e.ID)
			for len(log) > maxEvents {
				if e := log[0].Event; e.Type == handler.User {
					trimmed = log[0].Seq
					floor = max(floor, min(e.LTime, math.MaxUint64-1)+1)
				}
				log = log[1:]
			}
			from, to := drawLTime(t, "from"), drawLTime(t, "to")
			if d, err := j.Digests([2]uint64{from, to}); err != nil || d[0] != log.digest(from, to) {
				t.Fatalf("digest of %d to %d: %v, %v, want %v", from, to, d, err, log.digest(from, to))
			}
			r := journal.LTimeRange{From: from, To: to, Above: rapid.Uint64Range(0, 40).Draw(t, "above")}
			if len(log) > 0 && rapid.Bool().Draw(t, "behind") {
				rec := rapid.SampledFrom(log).Draw(t, "after")
				r.After = journal.LTimePos{LTime: rec.Event.LTime, Seq: rec.Seq}
			}
			limit := rapid.IntRange(1, 8).Draw(t, "limit")
			if page, err := j.LTimePage(r, limit); err != nil || !cmp.Equal(page, log.page(r, limit)) {
				t.Fatalf("page %+v: %v, %v, want %v", r, page, err, log.page(r, limit))
			}
		}
		x, err := j.Extent()
		if err != nil || x.Head != uint64(len(had)) || x.Trimmed != trimmed || x.Floor != floor {
			t.Fatalf("extent %+v, %v, want head %d, trimmed %d, floor %d", x, err, len(had), trimmed, floor)
		}
		for i, id := range had {
			retained := i >= len(had)-len(log)
			if user := id[0] != 'm'; j.Had(id) != (user || retained) {
				t.Fatalf("had %s: %v", id, j.Had(id))
			}
		}
		if j.Had("1-0") {
			t.Fatal("an event that never was is known")
		}
	})
}

// What was trimmed is remembered for as many events as are retained at least,
// and not for ever.
func TestHadForgets(t *testing.T) {
	j := journal.New(journal.Config{MaxEvents: 1})
	id := func(i uint64) string { return handler.NewUser(i, "e", nil, time.Time{}).ID }
	const minHad = 1 << 14 // what Had promises
	const n = 3 * minHad
	for i := range uint64(n) {
		if err := j.Append(handler.NewUser(i, "e", nil, time.Time{})); err != nil {
			t.Fatal(err)
		}
	}
	for i := range uint64(minHad) {
		if !j.Had(id(n - 1 - i)) {
			t.Fatalf("event %d of %d is forgotten", n-1-i, n)
		}
	}
	if j.Had(id(0)) {
		t.Error("the oldest is never forgotten")
	}
	for i := range uint64(n) {
		if j.Had(id(i)) == j.Forgot(i) {
			t.Fatalf("of event %d of %d the journal remembers %v and forgot %v", i, n, j.Had(id(i)), j.Forgot(i))
		}
	}
}

func TestHeadAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := journal.New(journal.Config{MaxEvents: 4})
		began := time.Now()
		for i := range uint64(6) { // events 1 to 6 come after 0 to 5 s
			if err := j.Append(handler.NewUser(i, "e", nil, time.Time{})); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		for after, want := range map[time.Duration]uint64{
			-1: 0, 0: 0, time.Second: 0, time.Second + 1: 2, 2 * time.Second: 2, 2*time.Second + 1: 3, 4 * time.Second: 4, time.Hour: 6,
		} {
			if got := j.HeadAt(began.Add(after)); got != want {
				t.Errorf("after %v: %d, want %d", after, got, want)
			}
		}
	})
}

// A closed journal says so: an empty answer would tell a peer that nothing is
// lacking.
func TestLTimesOfAClosedJournal(t *testing.T) {
	j := journal.New(journal.Config{})
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	_, extentErr := j.Extent()
	_, digestErr := j.Digests([2]uint64{0, 1})
	_, pageErr := j.LTimePage(journal.LTimeRange{To: 1}, 1)
	for what, err := range map[string]error{"extent": extentErr, "digest": digestErr, "page": pageErr} {
		if err != journal.ErrClosed {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// What an earlier process let go of counts as trimmed; the rest is indexed.
func TestLTimesOfALoadedJournal(t *testing.T) {
	cfg := disk.Config{Dir: t.TempDir(), Limits: journal.Config{MaxEvents: 3}, NoSync: true}
	d, err := disk.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(5) {
		if err := d.Append(handler.NewUser(10+i, "e", nil, time.Now())); err != nil {
			t.Fatal(err)
		}
	}
	want, err := d.Digests([2]uint64{0, math.MaxUint64})
	if err != nil || want[0].Count != 3 {
		t.Fatal(want, err)
	}
	testkit.MustClose(t, d)
	d = disks.Open(t, cfg)
	if got, err := d.Digests([2]uint64{0, math.MaxUint64}); err != nil || got[0] != want[0] {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	began := time.Now()
	if d.HeadAt(began.Add(-time.Hour)) != 0 || d.HeadAt(began) != 5 {
		t.Errorf("passed: %d an hour ago, %d now", d.HeadAt(began.Add(-time.Hour)), d.HeadAt(began))
	}
	if x, err := d.Extent(); err != nil || x != (journal.Extent{Head: 5, Newest: 14, Trimmed: 2}) {
		t.Errorf("%+v, %v", x, err)
	}
}

func BenchmarkDigestOf100000(b *testing.B) {
	j := journal.New(journal.Config{})
	for i := range uint64(100_000) {
		if err := j.Append(handler.NewUser(i, "e", nil, time.Time{})); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if d, err := j.Digests([2]uint64{1001, 98_999}); err != nil || d[0].Count != 97_999 {
			b.Fatal(d, err)
		}
	}
}
