package delivery

import (
	"context"
	"testing"
	"testing/synctest"

	"agentctl/handler/journal"
	"agentctl/handler/target"
	"agentctl/scripts/testkit"
)

// lanesOf are lanes over events of the given keys; "" has none. taken counts
// what was taken, and a source that is at its end waits.
func lanesOf(t *testing.T, window int, keys ...string) (l *lanes, taken *int) {
	t.Helper()
	key, err := target.ParseOrderKey("k")
	if err != nil {
		t.Fatal(err)
	}
	taken = new(int)
	return newLanes(func(ctx context.Context) (journal.Record, error) {
		if *taken == len(keys) {
			<-ctx.Done()
			return journal.Record{}, ctx.Err()
		}
		*taken++
		return journal.Record{Seq: uint64(*taken), Event: keyed(uint64(*taken), keys[*taken-1])}, nil
	}, key, window), taken
}

// begin calls next in a goroutine of its own, and returns what it gave, nil
// while it waits.
func begin(t *testing.T, l *lanes, done *job) *job {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got *job
	go func() {
		j, err := l.next(ctx, done)
		if err == nil {
			got = j
		}
	}()
	synctest.Wait()
	cancel()
	l.wake()
	synctest.Wait()
	return got
}

func wantSeq(t *testing.T, j *job, seq uint64) {
	t.Helper()
	got := uint64(0)
	if j != nil {
		got = j.Seq
	}
	testkit.Want(t, "begun", got, seq)
}

func TestLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, taken := lanesOf(t, 100, "a", "a", "b", "", "c", "", "a")
		one := begin(t, l, nil)
		wantSeq(t, one, 1)
		testkit.Want(t, "taken", *taken, 1)
		three := begin(t, l, nil)
		wantSeq(t, three, 3) // 2 waits for 1
		testkit.Want(t, "taken", *taken, 3)
		wantSeq(t, begin(t, l, nil), 0)
		testkit.Want(t, "taken", *taken, 4) // and nothing behind the one without a key
		wantSeq(t, begin(t, l, three), 0)
		two := begin(t, l, one)
		wantSeq(t, two, 2)
		four := begin(t, l, two)
		wantSeq(t, four, 4)
		wantSeq(t, begin(t, l, nil), 0)
		testkit.Want(t, "taken", *taken, 4)
		five := begin(t, l, four)
		wantSeq(t, five, 5)
		wantSeq(t, begin(t, l, nil), 0)
		six := begin(t, l, five)
		wantSeq(t, six, 6)
		seven := begin(t, l, six)
		wantSeq(t, seven, 7)
		wantSeq(t, begin(t, l, seven), 0)
		if l.taken != 0 || len(l.behind) != 0 {
			t.Errorf("%d taken and %d keys at the end", l.taken, len(l.behind))
		}
	})
}

func TestLanesWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, taken := lanesOf(t, 3, "a", "a", "a", "b", "b")
		one := begin(t, l, nil)
		wantSeq(t, begin(t, l, nil), 0)
		testkit.Want(t, "taken", *taken, 3)
		two := begin(t, l, one)
		wantSeq(t, two, 2)
		four := begin(t, l, nil)
		wantSeq(t, four, 4)
		wantSeq(t, begin(t, l, two), 3)
		wantSeq(t, begin(t, l, four), 5)
	})
}

// An event that began is not held by those that wait behind it.
func TestLanesLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := lanesOf(t, 3, "a", "a", "a")
		first := begin(t, l, nil)
		wantSeq(t, first, 1)
		wantSeq(t, begin(t, l, nil), 0) // takes the others, which wait
		behind := l.behind[first.key]
		if len(behind) != 2 {
			t.Fatalf("%d wait behind the first, want 2", len(behind))
		}
		wantSeq(t, begin(t, l, first), 2)
		if behind[0] != nil {
			t.Errorf("event %d is held, although it began", behind[0].Seq)
		}
	})
}
