package rpcclient_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"time"

	"agentctl/rpcclient"
)

// Dial an agent, publish one event, and hang up. An empty Config means the agent
// at its default address, 127.0.0.1:7373.
func Example() {
	addr, stop := startAgent()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	client, err := rpcclient.Dial(ctx, rpcclient.Config{Addr: addr})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	if err := client.Event(ctx, "purge", []byte("/index.html"), false); err != nil {
		log.Fatal(err)
	}
	fmt.Println("published")
	// Output: published
}

// Nothing listens at this address. The error names it and says what to look at.
// The request was not sent, so it is safe to try again.
func ExampleDial_nothingListens() {
	_, err := rpcclient.Dial(context.Background(), rpcclient.Config{Addr: "127.0.0.1:1"})

	if dialErr, ok := errors.AsType[*rpcclient.DialError](err); ok {
		fmt.Println("no agent at", dialErr.Addr)
		fmt.Println("hint:", dialErr.Hint)
	}
	fmt.Println("safe to try again:", errors.Is(err, rpcclient.ErrNotSent))
	// Output:
	// no agent at 127.0.0.1:1
	// hint: is the agent running, and is this its -rpc-addr?
	// safe to try again: true
}

// A call fails in one of three ways. An event that was not sent is safe to publish
// again. After a lost reply, the event may have been published already.
func ExampleClient_Event_errors() {
	addr, stop := startAgent()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client, err := rpcclient.Dial(ctx, rpcclient.Config{Addr: addr})
	if err != nil {
		log.Fatal(err)
	}

	publish := func(payload string) {
		err := client.Event(ctx, "purge", []byte(payload), false)
		remote, refused := errors.AsType[*rpcclient.RemoteError](err)
		switch {
		case err == nil:
			fmt.Println("published")
		case refused:
			fmt.Println("refused:", remote.Text)
		case errors.Is(err, rpcclient.ErrNotSent):
			fmt.Println("not sent: try again")
		case errors.Is(err, rpcclient.ErrLostReply):
			fmt.Println("no answer: it may be published, or not")
		}
	}

	publish("/index.html")
	publish(strings.Repeat("x", 10_000))
	client.Close()
	publish("/index.html")
	// Output:
	// published
	// refused: the event is too large
	// not sent: try again
}

// Members returns every member that the agent knows, also those that failed.
func ExampleClient_Members() {
	addr, stop := startAgent()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client, err := rpcclient.Dial(ctx, rpcclient.Config{Addr: addr})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	members, err := client.Members(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range members {
		fmt.Printf("%s %s:%d %s, in %s\n", m.Name, m.Addr, m.Port, m.Status, m.Tags["dc"])
	}
	// Output:
	// gateway-1 10.0.0.1:7946 alive, in berlin
	// gateway-2 10.0.0.2:7946 failed, in berlin
}

// Stream the user events named purge. A real program loops until ctx ends or the
// connection breaks; this one leaves the loop after two events.
func ExampleClient_Stream() {
	addr, stop := startAgent()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client, err := rpcclient.Dial(ctx, rpcclient.Config{Addr: addr})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	events, err := client.Stream(ctx, "user:purge")
	if err != nil {
		log.Fatal(err)
	}
	for _, path := range []string{"/a", "/b"} {
		if err := client.Event(ctx, "purge", []byte(path), false); err != nil {
			log.Fatal(err)
		}
	}

	seen := 0
	for event, err := range events {
		if overflow, ok := errors.AsType[*rpcclient.OverflowError](err); ok {
			fmt.Println("too slow:", overflow.Lost, "events are missing here")
			continue
		}
		if err != nil {
			log.Fatal(err) // the last step of the loop
		}
		fmt.Printf("%s %s at Lamport time %d\n", event.Name, event.Payload, event.LTime)
		if seen++; seen == 2 {
			break // which also ends the stream
		}
	}
	// Output:
	// purge /a at Lamport time 1
	// purge /b at Lamport time 2
}

// A program that publishes for as long as it runs keeps one Publisher. It dials
// when the first event needs it, and again after the connection broke.
func ExamplePublisher() {
	addr, stop := startAgent()
	defer stop()

	publisher := rpcclient.NewPublisher(rpcclient.PublisherConfig{
		Config: rpcclient.Config{Addr: addr},
	})
	defer publisher.Close()

	for _, path := range []string{"/a", "/b"} {
		// The deadline bounds how long Publish waits for an agent that is down.
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		err := publisher.Publish(ctx, "purge", []byte(path), false)
		cancel()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("published", path)
	}
	// Output:
	// published /a
	// published /b
}
