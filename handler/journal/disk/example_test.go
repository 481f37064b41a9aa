package disk_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/journal/disk"
)

// One process appends an event and ends before a gateway has taken it. The next
// process opens the same directory and goes on from there.
func Example() {
	dir, err := os.MkdirTemp("", "journal")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	// The first process.
	d, err := disk.Open(disk.Config{Dir: dir})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := d.Cursor("varnish", journal.CursorConfig{}); err != nil {
		log.Fatal(err)
	}
	if err := d.Append(handler.NewUser(1, "purge", []byte("/a"), time.Now())); err != nil {
		log.Fatal(err)
	}
	if err := d.Close(); err != nil { // writes what is not in the file yet
		log.Fatal(err)
	}

	// The second process.
	d, err = disk.Open(disk.Config{Dir: dir})
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()
	cursor, err := d.Cursor("varnish", journal.CursorConfig{})
	if err != nil {
		log.Fatal(err)
	}
	r, err := cursor.Next(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("event %d waits: %s\n", r.Seq, r.Event.Payload)
	// Output: event 1 waits: /a
}
