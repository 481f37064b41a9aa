package rpcclient

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"agentctl/handler/backoff"
	"agentctl/rpcclient/wire"
)

// Defaults of [PublisherConfig].
const (
	DefaultMinBackoff = 50 * time.Millisecond
	DefaultMaxBackoff = 5 * time.Second
)

// PublisherConfig says which agent a [Publisher] uses and how often it dials.
type PublisherConfig struct {
	Config

	// The wait before a new attempt to connect is random, below a bound that
	// doubles from MinBackoff to MaxBackoff with each attempt after which no
	// event was answered. Defaults if zero.
	MinBackoff, MaxBackoff time.Duration
}

// Publisher publishes events over one connection. It dials when the first event
// needs the connection, and again when the connection is gone. It is safe for
// concurrent use: concurrent events share the connection, and none waits for
// another's answer. A Publisher never sends an event twice.
type Publisher struct {
	cfg  PublisherConfig
	stop context.CancelCauseFunc
	ctx  context.Context // ends with Close
	wg   sync.WaitGroup

	mu       sync.Mutex
	current  *connecting // nil before the first event
	attempts int         // connections tried since an event was answered
}

// connecting is an attempt to connect, and then its outcome.
type connecting struct {
	done   chan struct{} // closed when client and err are set
	client *Client
	err    error
}

// NewPublisher returns a Publisher; nothing is dialled yet. It must be closed.
func NewPublisher(cfg PublisherConfig) *Publisher {
	if cfg.MinBackoff <= 0 {
		cfg.MinBackoff = DefaultMinBackoff
	}
	if cfg.MaxBackoff <= 0 {
		cfg.MaxBackoff = DefaultMaxBackoff
	}
	p := &Publisher{cfg: cfg}
	p.ctx, p.stop = context.WithCancelCause(context.Background())
	return p
}

// Publish publishes one event; see [Client.Event]. If the event was not sent,
// Publish tries again for as long as ctx lives, so give ctx a deadline. Then the
// error is [ErrNotSent], with the last failure to connect inside.
//
// Publish returns the agent's error at once ([*RemoteError]), also one about the
// handshake or the authentication. It returns [ErrLostReply] at once too: you
// decide whether to publish the event once more.
func (p *Publisher) Publish(ctx context.Context, name string, payload []byte, coalesce bool) error {
	var last error // why the attempt before this one failed
	for {
		client, err := p.connect(ctx)
		if err == nil {
			err = client.Event(ctx, name, payload, coalesce)
			_, refused := errors.AsType[*RemoteError](err)
			if err == nil || refused {
				p.answered()
				return err
			}
			if !errors.Is(err, ErrNotSent) || ctx.Err() == nil && client.Err() == nil {
				return err
			}
		}
		if _, refused := errors.AsType[*RemoteError](err); refused {
			return err // of the auth key or the version: time mends neither
		}
		if ctx.Err() != nil || p.ctx.Err() != nil {
			return p.notSent(ctx, last)
		}
		last = err
	}
}

// notSent is the error of an event that was given up, with why it could not be
// sent while there was time.
func (p *Publisher) notSent(ctx context.Context, last error) error {
	err := context.Cause(p.ctx)
	if err == nil {
		err = ctx.Err()
	}
	if last != nil {
		err = fmt.Errorf("%w; before: %w", err, last)
	}
	return &CallError{Command: wire.Event, Addr: p.cfg.withDefaults().Addr, Err: err}
}

// Close ends the connection. Events in flight fail with [ErrClosed] inside. It
// may be called more than once and by anyone, and returns nil.
func (p *Publisher) Close() error {
	p.mu.Lock()
	p.stop(ErrClosed)
	current := p.current
	p.mu.Unlock()
	p.wg.Wait()
	if current != nil && current.client != nil {
		current.client.Close()
	}
	return nil
}

func (p *Publisher) answered() {
	p.mu.Lock()
	p.attempts = 0
	p.mu.Unlock()
}

// connect returns a client whose connection stands, as far as is known. All
// callers share one attempt; it goes on when the caller that began it gives up.
func (p *Publisher) connect(ctx context.Context) (*Client, error) {
	p.mu.Lock()
	if err := context.Cause(p.ctx); err != nil {
		p.mu.Unlock()
		return nil, err
	}
	a := p.current
	if a == nil || a.failed() {
		a = &connecting{done: make(chan struct{})}
		old, wait := p.current, p.backoff()
		p.current = a
		p.attempts++
		p.wg.Go(func() {
			defer close(a.done)
			if old != nil && old.client != nil {
				old.client.Close()
			}
			a.client, a.err = p.dial(wait)
		})
	}
	p.mu.Unlock()
	select {
	case <-a.done:
		return a.client, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// failed reports whether the attempt is over and leaves nothing to use.
func (a *connecting) failed() bool {
	select {
	case <-a.done:
		return a.err != nil || a.client.Err() != nil
	default:
		return false
	}
}

func (p *Publisher) dial(wait time.Duration) (*Client, error) {
	if backoff.Sleep(p.ctx, wait) != nil {
		return nil, context.Cause(p.ctx)
	}
	return Dial(p.ctx, p.cfg.Config)
}

// backoff returns how long to wait before the next attempt.
func (p *Publisher) backoff() time.Duration {
	if p.attempts == 0 {
		return 0
	}
	return backoff.Backoff{Min: p.cfg.MinBackoff, Max: p.cfg.MaxBackoff}.Wait(p.attempts)
}
