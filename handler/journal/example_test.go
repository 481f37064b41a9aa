package journal_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
)

// Append events, hand them to a gateway in order, and ask what became of each
// event. The state is empty for an event that is not for the gateway. Package delivery
// has the loop of a real program, with retries and flushes.
func Example() {
	ctx := context.Background()
	j := journal.New(journal.Config{})
	defer j.Close()

	// A new cursor gets the events that are appended from now on.
	cursor, err := j.Cursor("varnish", journal.CursorConfig{
		Filters: handler.Filters{{Type: handler.User, Name: "purge"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	err = j.Append(
		handler.NewUser(1, "purge", []byte("/a"), time.Now()),
		handler.NewUser(2, "deploy", []byte("v2"), time.Now()), // not for this target
		handler.NewUser(3, "purge", []byte("no path"), time.Now()),
		handler.NewUser(4, "purge", []byte("/b"), time.Now()),
	)
	if err != nil {
		log.Fatal(err)
	}

	// Settle the first event as taken, and the second as refused for good.
	first, err := cursor.Next(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if err := cursor.Ack(first.Seq, 204); err != nil {
		log.Fatal(err)
	}
	second, err := cursor.Next(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if err := cursor.Bury(second.Seq, journal.Burial{Status: 400, Reason: "answered 400 Bad Request"}); err != nil {
		log.Fatal(err)
	}

	for seq := range j.Head() {
		outcome := j.Outcome("varnish", seq+1)
		fmt.Printf("event %d: %q %d\n", seq+1, outcome.State, outcome.Status)
	}
	// Output:
	// event 1: "delivered" 204
	// event 2: "" 0
	// event 3: "buried" 400
	// event 4: "waiting" 0
}

// A cursor that is closed keeps its place and goes on gathering events. The next
// cursor of the target gets them, and first the events that were handed out and
// not settled.
func ExampleJournal_Cursor() {
	ctx := context.Background()
	j := journal.New(journal.Config{})
	defer j.Close()
	appendPurge := func(ltime uint64, path string) {
		if err := j.Append(handler.NewUser(ltime, "purge", []byte(path), time.Now())); err != nil {
			log.Fatal(err)
		}
	}

	cursor, err := j.Cursor("varnish", journal.CursorConfig{})
	if err != nil {
		log.Fatal(err)
	}
	appendPurge(1, "/a")
	appendPurge(2, "/b")
	first, err := cursor.Next(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if err := cursor.Ack(first.Seq, 200); err != nil {
		log.Fatal(err)
	}
	if _, err := cursor.Next(ctx); err != nil { // /b, which is not settled
		log.Fatal(err)
	}
	cursor.Close()
	appendPurge(3, "/c")

	cursor, err = j.Cursor("varnish", journal.CursorConfig{})
	if err != nil {
		log.Fatal(err)
	}
	for cursor.Status().Waiting > 0 {
		r, err := cursor.Next(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("event %d: %s\n", r.Seq, r.Event.Payload)
		if err := cursor.Ack(r.Seq, 200); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// event 2: /b
	// event 3: /c
}

// Read the history from a sequence number on. No cursor is needed, and nothing is
// settled by it.
func ExampleJournal_Events() {
	j := journal.New(journal.Config{})
	defer j.Close()
	for i, path := range []string{"/a", "/b", "/c"} {
		if err := j.Append(handler.NewUser(uint64(i+1), "purge", []byte(path), time.Now())); err != nil {
			log.Fatal(err)
		}
	}

	seen := uint64(1) // the newest event that the caller has
	for r, err := range j.Events(seen + 1) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("event %d: %s\n", r.Seq, r.Event.Payload)
		seen = r.Seq
	}
	fmt.Println("read up to", seen)
	// Output:
	// event 2: /b
	// event 3: /c
	// read up to 3
}

// Serf sends events again after a restart. An event whose ID the journal holds is
// left out.
func ExampleJournal_Append_duplicate() {
	j := journal.New(journal.Config{})
	defer j.Close()

	event := handler.NewUser(1, "purge", []byte("/a"), time.Now())
	for range 3 {
		if err := j.Append(event); err != nil {
			log.Fatal(err)
		}
	}
	found, ok := j.Find(event.ID)
	fmt.Println("newest:", j.Head(), "found:", found.Seq, ok)
	// Output: newest: 1 found: 1 true
}
