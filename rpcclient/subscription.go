package rpcclient

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"agentctl/handler/queue"
	"agentctl/rpcclient/wire"
)

// subscription is a request whose answers are records. It has the call that opens
// it, and a bounded queue between the read loop and the consumer. The read loop
// never waits.
type subscription[T any] struct {
	call[nothing]
	isLast func(T) bool // nil: the records have no end of their own
	detach func() bool  // takes the subscription off its context

	once  sync.Once     // of end
	ready chan struct{} // gets a token when queue or err changes

	mu     sync.Mutex
	opened bool // the agent has said yes
	queue  queue.Queue[entry[T]]
	err    error // why nothing more is queued: errDone, or for the consumer
}

// entry is a record, or where lost is not 0 a gap of that many records.
type entry[T any] struct {
	rec  T
	lost int
}

// errDone is the end that a consumer expects.
var errDone = errors.New("done")

// subscribe sends a request and waits until the agent has accepted it. From then
// on the client queues records. It unsubscribes when the loop over records ends,
// or ctx.
func subscribe[T any](ctx context.Context, c *Client, cmd wire.Command, body any, isLast func(T) bool) (iter.Seq2[T, error], error) {
	s := &subscription[T]{
		call:   call[nothing]{c: c, cmd: cmd, done: make(chan error, 1)},
		isLast: isLast,
		queue:  queue.New[entry[T]](c.cfg.StreamBuffer, streamBytes),
		ready:  make(chan struct{}, 1),
	}
	if err := c.send(ctx, s, body); err != nil {
		return nil, err
	}
	if _, err := s.wait(ctx); err != nil {
		s.end()
		return nil, err
	}
	s.detach = context.AfterFunc(ctx, s.end)
	return s.records(ctx), nil
}

// records yields what comes, until the end. It can be used once.
func (s *subscription[T]) records(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		defer s.end()
		defer s.detach()
		for {
			rec, err := s.next(ctx)
			if err == errDone || !yield(rec, err) {
				return
			}
			if err != nil && !errors.Is(err, ErrStreamOverflow) {
				return
			}
		}
	}
}

// next waits for the next record, gap or end.
func (s *subscription[T]) next(ctx context.Context) (rec T, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return rec, err
		}
		s.mu.Lock()
		if e, ok := s.queue.Pop(); ok {
			s.mu.Unlock()
			if e.lost > 0 {
				return rec, &OverflowError{Lost: e.lost}
			}
			return e.rec, nil
		}
		err := s.err
		s.mu.Unlock()
		if err != nil {
			return rec, err
		}
		select {
		case <-s.ready:
		case <-ctx.Done():
		}
	}
}

// end unsubscribes, unless the subscription has ended already or was never
// open. It does not wait for the agent: requests are taken in order, so what
// the caller sends next finds the subscription gone. When it returns, also to
// a second caller, the stop is on its way.
func (s *subscription[T]) end() { s.once.Do(s.unsubscribe) }

func (s *subscription[T]) unsubscribe() {
	s.mu.Lock()
	over, opened := s.err != nil, s.opened
	if !over {
		s.err = errDone
	}
	s.queue.Clear()
	s.mu.Unlock()
	if over || !opened && !s.sent() {
		return
	}
	if opened {
		s.c.forget(s.seq) // else receive does, when the answer has come
	}
	stop := newCall[nothing](s.c, wire.Stop)
	// This fails only with the connection, and then there is nothing to stop.
	s.c.send(context.Background(), stop, wire.StopRequest{Stop: s.seq})
}

// close ends the queue: the consumer gets what is in it, and then err.
func (s *subscription[T]) close(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.mu.Unlock()
	s.wake()
}

func (s *subscription[T]) wake() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

func (s *subscription[T]) receive(h wire.ResponseHeader, r *wire.Reader) (over bool, err error) {
	s.mu.Lock()
	first, given := !s.opened, s.err != nil
	if h.Error == "" {
		s.opened = true
	}
	s.mu.Unlock()
	switch {
	case first && h.Error != "":
		s.close(errDone)
		s.done <- remote(h)
		return true, nil
	case first:
		s.done <- nil
		return given, nil // given up while the answer was on its way
	case h.Error != "": // no agent does this; without a body, as any such answer
		s.close(remote(h))
		return true, nil
	}
	var rec T
	if err := r.Read(&rec); err != nil {
		return false, err
	}
	if s.isLast != nil && s.isLast(rec) {
		s.close(errDone)
		return true, nil
	}
	s.push(rec, len(r.Value()))
	return false, nil
}

// push queues a record, or counts it as lost where the queue is full.
func (s *subscription[T]) push(rec T, size int) {
	s.mu.Lock()
	defer s.wake()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	if s.queue.Push(entry[T]{rec: rec}, size) {
		return
	}
	last := s.queue.Len() - 1
	if gap := s.queue.At(last); gap.lost > 0 {
		gap.lost++
		s.queue.Set(last, gap, 0)
		return
	}
	s.queue.Force(entry[T]{lost: 1}, 0)
}

func (s *subscription[T]) fail(cause error) {
	s.mu.Lock()
	opened := s.opened
	s.mu.Unlock()
	if !opened {
		s.call.fail(cause)
	}
	s.close(fmt.Errorf("%s from the agent at %s ended: %w", s.cmd, s.c.cfg.Addr, cause))
}
