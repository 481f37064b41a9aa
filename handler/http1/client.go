package http1

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// Config is what a Client needs.
type Config struct {
	// Dial connects to the server. Its context ends with the request's time.
	Dial func(context.Context) (net.Conn, error)
	// TLS is nil for a server without TLS. Else it names the server, by ServerName.
	TLS *tls.Config
	// Idle is how many connections are kept at most, and IdleTimeout for how long.
	Idle        int
	IdleTimeout time.Duration
}

// Client makes requests to one server. It is safe for concurrent use: each request
// that is under way has a connection of its own.
type Client struct {
	config Config

	mu     sync.Mutex
	idle   []*conn // the one that was used last stands last
	expiry *time.Timer
	armed  bool // expiry is
	closed bool
}

// New makes a Client. It does not connect.
func New(c Config) *Client { return &Client{config: c} }

// Request is one request.
type Request struct {
	// Head is the request line and the header, with the empty line behind it. Its
	// Content-Length is that of Body.
	Head []byte
	Body []byte
	// ToHEAD says that the method is HEAD: the answer has no body.
	ToHEAD bool
	// Timeout bounds the whole request.
	Timeout time.Duration
	// BodyTimeout bounds the wait for the answer's body, behind its header. 0: only
	// Timeout does.
	BodyTimeout time.Duration
	// Keep is how many bytes of the answer's body are kept, and Read how many are read
	// at most, so that the connection can be kept.
	Keep, Read int
}

// Answer is the answer to a request.
type Answer struct {
	Status     int
	Location   string // the header of that name, if there is one
	RetryAfter string
	Body       []byte // its beginning
	Cut        bool   // the body may be longer than Body
}

// Do makes a request, and returns once the answer is there, the request's time is over,
// or ctx has ended. The error is that of the connection: one that wraps
// [os.ErrDeadlineExceeded] or [context.DeadlineExceeded] where the time was over, [io.EOF]
// where the server closed the connection before it answered, or an *[AnswerError]. Where
// ctx ended, it is any error. The server may have got the request in any case. A body
// that does not come, or breaks off, is no error.
//
// The request is sent again at once in one case: the connection was kept from an
// earlier request, turns out to be closed, and brought no byte of an answer. Servers
// close idle connections, and that is no failure. But the server may also have taken the
// first request. If a new connection breaks, that is a failure. So each repeat uses up a
// kept connection.
func (c *Client) Do(ctx context.Context, r *Request) (Answer, error) {
	deadline := time.Now().Add(r.Timeout)
	for {
		if err := ctx.Err(); err != nil {
			return Answer{}, err
		}
		cn, kept := c.take()
		if cn == nil {
			var err error
			if cn, err = c.dial(ctx, deadline); err != nil {
				return Answer{}, err
			}
		}
		cn.got = 0
		a, again, err := cn.exchange(ctx, deadline, r)
		if again {
			c.keep(cn)
		} else {
			cn.Close()
		}
		if err == nil || !kept || cn.got > 0 || !time.Now().Before(deadline) {
			return a, err
		}
	}
}

// Close closes the idle connections. Requests under way go on to their end, and their
// connections are closed then.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, cn := range c.idle {
		cn.Close()
	}
	c.idle = nil
	if c.armed {
		c.armed = !c.expiry.Stop()
	}
}

func (c *Client) dial(ctx context.Context, deadline time.Time) (*conn, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	nc, err := c.config.Dial(ctx)
	if err != nil {
		return nil, err
	}
	cn := newConn(nc)
	if c.config.TLS != nil {
		secure := tls.Client(cn.socket, c.config.TLS)
		if err := secure.HandshakeContext(ctx); err != nil {
			nc.Close()
			return nil, err
		}
		cn.Conn = secure
	}
	return cn, nil
}

// take returns an idle connection on which nothing has come meanwhile, neither its end
// nor what nobody asked for, or nil.
func (c *Client) take() (cn *conn, kept bool) {
	for {
		c.mu.Lock()
		if len(c.idle) == 0 {
			c.mu.Unlock()
			return nil, false
		}
		last := len(c.idle) - 1
		cn, c.idle[last] = c.idle[last], nil
		c.idle = c.idle[:last]
		c.mu.Unlock()
		if cn.quiet() {
			return cn, true
		}
		cn.Close()
	}
}

func (c *Client) keep(cn *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.idle) >= c.config.Idle {
		cn.Close()
		return
	}
	cn.since = time.Now()
	c.idle = append(c.idle, cn)
	if !c.armed {
		c.arm(c.config.IdleTimeout)
	}
}

// arm has the connections that are too old closed after a time. c.mu is held.
func (c *Client) arm(after time.Duration) {
	c.armed = true
	if c.expiry == nil {
		c.expiry = time.AfterFunc(after, c.expire)
		return
	}
	c.expiry.Reset(after)
}

// expire closes the connections that have been idle for too long.
func (c *Client) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed = false
	now, old := time.Now(), 0
	for old < len(c.idle) && now.Sub(c.idle[old].since) >= c.config.IdleTimeout {
		c.idle[old].Close()
		old++
	}
	c.idle = append([]*conn(nil), c.idle[old:]...)
	if len(c.idle) > 0 {
		c.arm(c.config.IdleTimeout - now.Sub(c.idle[0].since))
	}
}
