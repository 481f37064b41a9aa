package admission

import (
	"container/list"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Limit bounds the connections of a server. Its methods are safe for concurrent use.
type Limit struct {
	most, each int

	mu      sync.Mutex
	held    int
	clients map[string]*client // those that hold connections
}

// client is who holds connections. [Limit.mu] guards it.
type client struct {
	name    string
	bytes   atomic.Int64 // the server's own; mu does not guard it
	held    int
	waiting list.List // of *Conn, the one that has waited longest first
}

// NewLimit makes a limit of so many connections, and of so many for each client.
func NewLimit(most, each int) *Limit {
	return &Limit{most: most, each: each, clients: map[string]*client{}}
}

// Conn is a connection that was let in. Its methods are safe for concurrent use.
type Conn struct {
	limit  *Limit
	client *client
	end    func()
	since  time.Time     // when it began to wait
	waits  *list.Element // nil while it works, and once it is over
	over   bool
}

// Admit lets a connection in, which waits at first. It tells whether there was room,
// and whether another connection had to be given up for it. end ends a connection that
// is given up, and must not wait. Whoever is let in calls [Conn.Leave] at the end.
func (l *Limit) Admit(addr net.Addr, end func()) (c *Conn, gaveUp, ok bool) {
	name := ClientOf(addr)
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.clients[name]
	if own != nil && own.held >= l.each {
		if own.waiting.Len() == 0 {
			return nil, false, false
		}
		l.giveUp(own)
		gaveUp = true
	} else if l.held >= l.most {
		greediest := l.greediest()
		if greediest == nil {
			return nil, false, false
		}
		l.giveUp(greediest)
		gaveUp = true
	}
	if own = l.clients[name]; own == nil { // or it was given up with its last connection
		own = &client{name: name}
		l.clients[name] = own
	}
	c = &Conn{limit: l, client: own, end: end}
	l.held++
	own.held++
	c.wait()
	return c, gaveUp, true
}

// greediest is the client with the most connections that wait; among several the one
// that has waited longest. It is nil if none waits.
func (l *Limit) greediest() (found *client) {
	for _, c := range l.clients {
		switch n := c.waiting.Len(); {
		case n == 0:
		case found == nil, n > found.waiting.Len(), n == found.waiting.Len() && c.first().since.Before(found.first().since):
			found = c
		}
	}
	return found
}

func (c *client) first() *Conn { return c.waiting.Front().Value.(*Conn) }

// giveUp ends the connection of a client that has waited longest.
func (l *Limit) giveUp(c *client) {
	first := c.first()
	first.leave()
	first.end()
}

func (c *Conn) wait() {
	c.since = time.Now()
	c.waits = c.client.waiting.PushBack(c)
}

// Bytes is a number that all connections of the client share. The server counts with it
// what they hold together.
func (c *Conn) Bytes() *atomic.Int64 { return &c.client.bytes }

// Client names who holds the connection, as [ClientOf] does.
func (c *Conn) Client() string { return c.client.name }

// Work notes that the connection works. It is false if it was given up before.
func (c *Conn) Work() bool {
	c.limit.mu.Lock()
	defer c.limit.mu.Unlock()
	if c.waits != nil {
		c.client.waiting.Remove(c.waits)
		c.waits = nil
	}
	return !c.over
}

// Wait notes that the connection waits for its client.
func (c *Conn) Wait() {
	c.limit.mu.Lock()
	defer c.limit.mu.Unlock()
	if !c.over && c.waits == nil {
		c.wait()
	}
}

// Leave notes that the connection is over. It may be called again.
func (c *Conn) Leave() {
	c.limit.mu.Lock()
	defer c.limit.mu.Unlock()
	c.leave()
}

func (c *Conn) leave() {
	if c.over {
		return
	}
	c.over = true
	if c.waits != nil {
		c.client.waiting.Remove(c.waits)
		c.waits = nil
	}
	c.limit.held--
	if c.client.held--; c.client.held == 0 {
		delete(c.limit.clients, c.client.name)
	}
}
