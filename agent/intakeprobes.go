package agent

import "context"

// ping returns once drain has taken it, or Run has returned.
func (in *Intake) ping() {
	select {
	case in.pings <- struct{}{}:
	case <-in.ended:
	}
}

// pass returns once dispatch has passed on all that came before, or Run has
// returned.
func (in *Intake) pass() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-in.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	in.Settle(ctx) // its error is the end
}

// waiting is how many events wait to be passed on.
func (in *Intake) waiting() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.queue.Len() + len(in.ch)
}
