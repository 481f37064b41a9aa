package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"time"
)

// topic is the subject or channel of all events.
const topic = "kong"

// broker is a connection to one.
type broker interface {
	// subscribe has take be called with each message in turn, and returns once the
	// broker knows of the subscription.
	subscribe(ctx context.Context, take func([]byte)) error
	// publish publishes messages without waiting for each, and returns when the broker
	// has them all.
	publish(ctx context.Context, messages func(yield func([]byte) bool)) error
}

func main() {
	log.SetFlags(0)
	kind := flag.String("broker", "nats", "nats or redis")
	addr := flag.String("addr", "", "address of the broker")
	post := flag.String("post", "", "POST each message to this URL; without it, publish what standard input asks for")
	client := flag.String("client", "net/http", "what POSTs: net/http, or agentctl's own client, http1")
	flag.Parse()
	if err := run(context.Background(), *kind, *addr, *post, *client); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, kind, addr, url, client string) error {
	b, err := connect(kind, addr)
	if err != nil {
		return err
	}
	if url == "" {
		return publish(ctx, b, os.Stdin, os.Stdout)
	}
	post, err := newPoster(client, url)
	if err != nil {
		return err
	}
	take := func(message []byte) {
		if err := post(ctx, message); err != nil {
			log.Print(err)
		}
	}
	if err := b.subscribe(ctx, take); err != nil {
		return err
	}
	fmt.Println("ready")
	select {} // until it is killed
}

func connect(kind, addr string) (broker, error) {
	switch kind {
	case "nats":
		return connectNATS(addr)
	case "redis":
		return connectRedis(addr), nil
	}
	return nil, fmt.Errorf("-broker=%s: there are nats and redis", kind)
}

// publish publishes what each line of in asks for.
func publish(ctx context.Context, b broker, in io.Reader, out io.Writer) error {
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var round, first, count int
		if _, err := fmt.Sscan(lines.Text(), &round, &first, &count); err != nil {
			return fmt.Errorf("%q: %w", lines.Text(), err)
		}
		began := time.Now()
		err := b.publish(ctx, func(yield func([]byte) bool) {
			for i := first; i < first+count && yield(payload(round, i)); i++ {
			}
		})
		if err != nil {
			return err
		}
		fmt.Fprintln(out, began.UnixNano())
	}
	return nil
}

// payload is an event of 240 bytes, as scripts/bench publishes it to agents.
func payload(round, event int) []byte {
	b := make([]byte, 0, 256)
	b = fmt.Appendf(b, `{"type":"ENTITY_UPDATED","collection":"apis","primary_key":["id"],"entity":{"id":"%d-%d","pad":"`, round, event)
	for len(b) < 240-3 {
		b = append(b, 'x')
	}
	return append(b, `"}}`...)
}
