package rpcclient

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"agentctl/rpcclient/wire"
)

// Defaults of [Config].
const (
	DefaultAddr         = "127.0.0.1:7373"
	DefaultTimeout      = 10 * time.Second
	DefaultStreamBuffer = 4096
)

// streamBytes bounds the encoded size of the records that one stream keeps for
// its consumer, beside Config.StreamBuffer.
const streamBytes = 16 << 20

// Config says which agent to dial and how.
type Config struct {
	Addr    string // host:port, or unix:/path/to.sock; DefaultAddr if empty
	AuthKey string // empty: do not authenticate

	// Timeout bounds dialling, with handshake and authentication, and each
	// write to a connection that takes nothing. Only a call's context bounds the
	// wait for an answer. DefaultTimeout if zero.
	Timeout time.Duration

	// StreamBuffer is the number of records that a stream keeps for a slow
	// consumer. DefaultStreamBuffer if zero.
	StreamBuffer int

	// Limits bound each value that is received. wire.DefaultLimits if zero.
	Limits wire.Limits
}

func (cfg Config) withDefaults() Config {
	if cfg.Addr == "" {
		cfg.Addr = DefaultAddr
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.StreamBuffer <= 0 {
		cfg.StreamBuffer = DefaultStreamBuffer
	}
	if cfg.Limits == (wire.Limits{}) {
		cfg.Limits = wire.DefaultLimits
	}
	return cfg
}

// Client is one connection to an agent; see the package's documentation.
type Client struct {
	cfg  Config
	conn net.Conn

	outbox chan *request // to writeLoop
	ended  chan struct{} // closed by shut
	done   chan struct{} // closed when both loops have returned

	mu   sync.Mutex
	last uint64            // the sequence number given out last
	open map[uint64]answer // who waits for what, by sequence number
	err  error             // why the connection ended; set before ended is closed
}

// Dial connects to an agent, shakes hands and authenticates, in one round trip.
// Close the client when you are done. The error is a [*DialError] with the address
// and a hint. If the agent refused, it wraps a [*RemoteError], such as
// [ErrInvalidAuthToken].
func Dial(ctx context.Context, cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()

	network, addr := "tcp", cfg.Addr
	if path, ok := strings.CutPrefix(cfg.Addr, "unix:"); ok {
		network, addr = "unix", path
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, &DialError{cfg.Addr, "is the agent running, and is this its -rpc-addr?", err}
	}
	c := newClient(cfg, conn)
	if err := c.greet(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func newClient(cfg Config, conn net.Conn) *Client {
	c := makeClient(cfg, conn)
	c.start()
	return c
}

func makeClient(cfg Config, conn net.Conn) *Client {
	return &Client{
		cfg:    cfg,
		conn:   conn,
		outbox: make(chan *request, 64),
		ended:  make(chan struct{}),
		done:   make(chan struct{}),
		open:   make(map[uint64]answer),
	}
}

// start begins to read and write. Close waits for both to end.
func (c *Client) start() {
	go func() {
		defer close(c.done)
		var wg sync.WaitGroup
		wg.Go(c.writeLoop)
		c.readLoop()
		wg.Wait()
		c.finish()
	}()
}

// greet sends handshake and auth together and then waits for both answers.
func (c *Client) greet(ctx context.Context) error {
	hello := newCall[nothing](c, wire.Handshake)
	err := c.send(ctx, hello, wire.HandshakeRequest{Version: wire.Version})
	var auth *call[nothing]
	if err == nil && c.cfg.AuthKey != "" {
		auth = newCall[nothing](c, wire.Auth)
		err = c.send(ctx, auth, wire.AuthRequest{AuthKey: c.cfg.AuthKey})
	}
	if err == nil {
		_, err = hello.wait(ctx)
	}
	if err == nil && auth != nil {
		_, err = auth.wait(ctx)
	}
	if err == nil {
		return nil
	}
	hint := "is this the -rpc-addr of a serf agent?"
	if errors.Is(err, ErrInvalidAuthToken) {
		hint = "check -rpc-auth"
	}
	if lost, ok := errors.AsType[*CallError](err); ok {
		err = lost.Err // that a handshake was lost has no consequence to tell
	}
	return &DialError{c.cfg.Addr, hint, err}
}

// Close ends the connection and all that runs on it: calls in flight fail with
// [ErrClosed] inside. It may be called more than once and by anyone, and
// returns nil.
func (c *Client) Close() error {
	c.shut(ErrClosed)
	<-c.done
	return nil
}

// Done is closed when the connection has ended, by either side.
func (c *Client) Done() <-chan struct{} { return c.ended }

// Err tells why the connection ended, and is nil while it has not.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// shut ends the connection for the given reason, of which the first counts.
func (c *Client) shut(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	close(c.ended)
	c.conn.Close()
}
