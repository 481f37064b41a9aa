package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// closeWait bounds the closing of files and ports, which have limits of their own
// and end before.
const closeWait = time.Minute

// stopStack is what has to be undone when the agent ends. A step is pushed where
// a thing is started or opened, and the steps are run backwards, also when a start
// fails half way. The zero value is empty. It is for one goroutine at a time.
type stopStack []stopStep

type stopStep struct {
	name string
	most time.Duration // bounds the step
	stop func(context.Context) error
}

// push adds a step that runs before all those that are there. Its context ends
// after most.
func (s *stopStack) push(name string, most time.Duration, stop func(context.Context) error) {
	*s = append(*s, stopStep{name, most, stop})
}

// drain runs all steps, the last one first, and leaves the stack empty. A step
// that fails keeps no other from being run. The errors are joined, each with the
// name of its step.
func (s *stopStack) drain() error {
	var errs []error
	for n := len(*s); n > 0; n = len(*s) {
		step := (*s)[n-1]
		*s = (*s)[:n-1]
		ctx, cancel := context.WithTimeoutCause(context.Background(), step.most, fmt.Errorf("not done within %v", step.most))
		if err := step.stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", step.name, err))
		}
		cancel()
	}
	return errors.Join(errs...)
}

// part is a group of goroutines that are stopped together.
type part struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	fail   func(error)
}

// newPart returns a part whose failures are given to fail. It does not end with
// Run's context: the parts end one after another.
func newPart(fail func(error)) *part {
	p := &part{fail: fail}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

func (p *part) start(run func(context.Context) error) {
	p.wg.Go(func() {
		if err := run(p.ctx); err != nil {
			p.fail(err)
		}
	})
}

// stop cancels the part and waits for it, at most until ctx ends.
func (p *part) stop(ctx context.Context) error {
	p.cancel()
	return within(ctx, func() error { p.wg.Wait(); return nil })
}

// within waits for f, which cannot be cancelled, at most until ctx ends.
func within(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
