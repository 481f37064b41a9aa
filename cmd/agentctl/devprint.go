package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"agentctl/handler"
	"agentctl/handler/target"
)

// devPrinter shows, line by line, what happens in a dev cluster. Its methods
// are safe for concurrent use.
type devPrinter struct {
	out   io.Writer
	nodes int

	mu        sync.Mutex
	published map[[sha256.Size]byte]*devPublish
}

// devPublish is an event on its way. One with the same name and payload that
// is published again takes its place.
type devPublish struct {
	at   time.Time
	seen map[string]bool // gateways that have it
}

// maxDevPublishes bounds how many events are remembered.
const maxDevPublishes = 10_000

func newDevPrinter(out io.Writer, nodes int) *devPrinter {
	return &devPrinter{out: out, nodes: nodes, published: map[[sha256.Size]byte]*devPublish{}}
}

// line prints one line with the time and the node.
func (p *devPrinter) line(node, format string, args ...any) {
	fmt.Fprintf(p.out, "%s  %-6s %s\n", time.Now().Format("15:04:05.000"), node, oneLine(fmt.Sprintf(format, args...)))
}

// say prints one line of the command's own.
func (p *devPrinter) say(node, format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line(node, format, args...)
}

func publishKey(name string, payload []byte) [sha256.Size]byte {
	return sha256.Sum256(append([]byte(name+"\x00"), payload...))
}

// onPublished is called when an RPC client publishes at a node.
func (p *devPrinter) onPublished(node, name string, payload []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.published) >= maxDevPublishes {
		clear(p.published)
	}
	p.published[publishKey(name, payload)] = &devPublish{at: time.Now(), seen: map[string]bool{}}
	p.line(node, "published  %s %s", name, printable(payload, 100))
	if name != "kong" {
		p.line("", "           no gateway is told: these take member events and events named kong")
	}
}

// onAttempt is called after each attempt of a node's agent to post an event.
func (p *devPrinter) onAttempt(node string, e handler.Event, err error) {
	if err == nil {
		return // the gateway itself told onApplied
	}
	what := string(e.Type)
	if e.Type == handler.User {
		what = e.Name + " " + e.ID
	}
	next := "is tried again"
	if pe, ok := errors.AsType[*target.PostError](err); ok && pe.Class == target.Bury {
		next = "is not tried again"
	}
	p.say(node, "failed     %s, %s: %v", what, next, err)
}

// onApplied is called when a node's gateway has applied an event.
func (p *devPrinter) onApplied(node string, a devApplied) {
	p.mu.Lock()
	defer p.mu.Unlock()
	did := a.did()
	pub := p.published[publishKey(a.eventName, a.body)]
	if pub == nil || a.eventName == "" {
		p.line(node, "gateway    %s: %s", a.kind, did)
		return
	}
	p.line(node, "gateway    %s %s after %s: %s", a.eventName, a.eventID, took(pub.at), did)
	if pub.seen[node] = true; len(pub.seen) == p.nodes {
		p.line("", "done       all %d gateways have %s, the last one after %s", p.nodes, a.eventID, took(pub.at))
		delete(p.published, publishKey(a.eventName, a.body))
	}
}

// did says what an event made a gateway do.
func (a devApplied) did() string {
	switch {
	case a.dropped == 0:
		return "nothing to drop"
	case a.key == "":
		return fmt.Sprintf("%d workers dropped their whole cache", a.workers)
	}
	return fmt.Sprintf("%d of %d workers dropped %s", a.dropped, a.workers, a.key)
}

// took is the time since at, to a tenth of a millisecond.
func took(at time.Time) string {
	return strconv.FormatFloat(float64(time.Since(at).Microseconds())/1000, 'f', 1, 64) + " ms"
}
