package wire_test

import (
	"bytes"
	"fmt"
	"log"

	"agentctl/rpcclient/wire"
)

// Write a request, and read it as a server does. No length stands in front of the
// body: the reader knows from the command that a body follows, and of which type.
func Example() {
	var stream bytes.Buffer // stands for a connection
	err := wire.NewWriter(&stream).Write(
		wire.RequestHeader{Command: wire.Event, Seq: 2},
		wire.EventRequest{Name: "purge", Payload: []byte("/index.html")},
	)
	if err != nil {
		log.Fatal(err)
	}

	r := wire.NewReader(&stream, wire.DefaultLimits)
	var header wire.RequestHeader
	if err := r.Read(&header); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("request %d: %s, with a body: %v\n", header.Seq, header.Command, header.Command.HasRequest())
	var event wire.EventRequest
	if err := r.Read(&event); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s %s\n", event.Name, event.Payload)
	// Output:
	// request 2: event, with a body: true
	// purge /index.html
}
