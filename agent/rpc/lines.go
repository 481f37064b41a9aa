package rpc

import (
	"context"
	"sync"
)

// lines has a line of its own for each client that wants to do something of which it may
// do only so much at a time. Clients do not wait for each other.
type lines struct {
	each int // slots of a client

	mu sync.Mutex
	by map[string]*line
}

type line struct {
	slots chan struct{}
	users int // that hold a slot or wait for one; lines.mu guards it
}

func newLines(each int) *lines { return &lines{each: each, by: map[string]*line{}} }

// enter waits for a slot of the client's own, which leave gives back. It is false if
// ctx ended first.
func (ls *lines) enter(ctx context.Context, client string) (leave func(), ok bool) {
	ls.mu.Lock()
	l := ls.by[client]
	if l == nil {
		l = &line{slots: make(chan struct{}, ls.each)}
		ls.by[client] = l
	}
	l.users++
	ls.mu.Unlock()
	select {
	case l.slots <- struct{}{}:
		return func() {
			<-l.slots
			ls.forget(client, l)
		}, true
	case <-ctx.Done():
		ls.forget(client, l)
		return nil, false
	}
}

func (ls *lines) forget(client string, l *line) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l.users--; l.users == 0 {
		delete(ls.by, client)
	}
}
