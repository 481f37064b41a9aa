package rpc

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
)

func testQueue(t *testing.T, o *outbox, seq uint64, head string, max int) *queue {
	t.Helper()
	q := &queue{seq: seq, head: []byte(head), max: max, counter: prometheus.NewCounter(prometheus.CounterOpts{})}
	if err := o.add(q); err != nil {
		t.Fatal(err)
	}
	return q
}

// Answers go first, then each stream has its turn, however much another has.
func TestTurns(t *testing.T) {
	o := newOutbox(10, 10<<20)
	busy, quiet := testQueue(t, o, 1, "a", 1000), testQueue(t, o, 2, "b", 1000)
	held := testQueue(t, o, 3, "c", 1000)
	o.release(busy)
	o.release(quiet)
	for range 1000 {
		busy.put(make([]byte, 1000))
	}
	quiet.put([]byte("B"))
	held.put([]byte("C"))
	if err := o.reply(t.Context(), []byte("answer")); err != nil {
		t.Fatal(err)
	}
	got, _ := o.take(nil)
	if !bytes.HasPrefix(got, []byte("answera")) || !bytes.Contains(got, []byte("bB")) || bytes.Contains(got, []byte("C")) {
		t.Errorf("the first batch has %d bytes: %.20q", len(got), got)
	}
	if len(got) > batchBytes+turnBytes {
		t.Errorf("a batch of %d bytes", len(got))
	}
	total := len(got)
	for len(got) > 0 {
		got, _ = o.take(nil)
		total += len(got)
	}
	if want := len("answer") + 1000*1001 + len("bB"); total != want {
		t.Errorf("%d bytes in all, want %d", total, want)
	}
	o.release(held)
	if got, _ := o.take(nil); string(got) != "cC" {
		t.Errorf("released: %q", got)
	}
	if o.bytes != 0 || busy.size != 0 {
		t.Errorf("%d bytes counted in an empty outbox", o.bytes)
	}
}

// A notice of loss stands where the records are missing, and counts them.
func TestNotice(t *testing.T) {
	o := newOutbox(10, 10<<20)
	q := testQueue(t, o, 1, "", 2)
	q.notice = func(lost int) []byte { return fmt.Appendf(nil, "%d lost", lost) }
	o.release(q)
	big := strings.Repeat("x", batchBytes) // each is a batch
	for range 5 {
		q.put([]byte(big))
	}
	take := func(want string) {
		t.Helper()
		if got, _ := o.take(nil); string(got) != want {
			t.Errorf("took %d bytes, %.20q, not %.20q", len(got), got, want)
		}
	}
	take(big)
	q.put([]byte(big)) // the notice takes the room that there is
	take(big)
	take("3 lost1 lost")
	q.put([]byte("well again"))
	take("well again")
	if o.takeDropped() != 4 || o.takeDropped() != 0 {
		t.Error("miscounted")
	}
}

// A query's record waits for room, and gives up when its client goes.
func TestPutWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox(10, 1000)
		other, q := testQueue(t, o, 1, "", 100), testQueue(t, o, 2, "", 2)
		o.release(q)
		other.put(make([]byte, 900)) // holds nearly all that the connection may
		results := make(chan bool, 10)
		put := func(ctx context.Context, s string, last bool) { results <- q.putWait(ctx, []byte(s), last) }
		ctx, cancel := context.WithCancel(t.Context())
		put(ctx, "1", false) // an empty queue takes one
		go put(ctx, "2", false)
		synctest.Wait()
		if len(results) != 1 {
			t.Error("it did not wait for room")
		}
		got, _ := o.take(nil)
		synctest.Wait()
		more, _ := o.take(nil)
		if string(got)+string(more) != "12" {
			t.Errorf("took %q and %q", got, more)
		}
		put(ctx, "3", true)
		if got, _ := o.take(nil); string(got) != "3" || o.open[2] != nil {
			t.Errorf("took %q; a queue that has ended stays %v", got, o.open[2] != nil)
		}
		if put(ctx, "4", false); strings.Count(drain(results), "true") != 3 {
			t.Error("a queue that has ended took a record")
		}

		q = testQueue(t, o, 2, "", 1)
		put(ctx, "5", false)
		go put(ctx, "6", false)
		synctest.Wait()
		cancel()
		synctest.Wait()
		go put(t.Context(), "7", false)
		synctest.Wait()
		o.close()
		poke(q.room) // as the writer's last batch may
		synctest.Wait()
		if got := drain(results); got != "true false false " {
			t.Errorf("results %s", got)
		}
		if o.bytes != 0 {
			t.Errorf("%d bytes counted in a closed outbox", o.bytes)
		}
	})
}

func drain(c chan bool) (s string) {
	for len(c) > 0 {
		if <-c {
			s += "true "
		} else {
			s += "false "
		}
	}
	return s
}

// A client that once sent many requests together does not hold memory for as long
// as it is connected.
func TestManyAnswersAreLetGo(t *testing.T) {
	o := newOutbox(10, 10<<20)
	for _, answers := range []int{10 * keepReplies, 10} {
		for range answers {
			if err := o.reply(t.Context(), []byte("answer")); err != nil {
				t.Fatal(err)
			}
		}
		if got, _ := o.take(nil); len(got) != answers*len("answer") {
			t.Errorf("%d bytes for %d answers", len(got), answers)
		}
		if n := cap(o.replies); n > keepReplies {
			t.Errorf("room for %d answers is kept", n)
		}
		if o.replyBytes != 0 {
			t.Errorf("%d bytes of answers in an empty outbox", o.replyBytes)
		}
	}
}
