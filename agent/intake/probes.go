package intake

import "context"

// Ping returns once drain has taken it, or Run has returned.
func (in *Intake) Ping() {
	select {
	case in.pings <- struct{}{}:
	case <-in.ended:
	}
}

// Pass returns once dispatch has passed on all that came before, or Run has
// returned.
func (in *Intake) Pass() {
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

// Waiting is how many events wait to be passed on.
func (in *Intake) Waiting() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.queue.Len() + len(in.ch)
}
