package publish

import "context"

// lock is a lock that a publisher holds, and that another one waits for
// only as long as its context allows. It holds a value while it is locked.
type lock chan struct{}

// lock waits for the lock until ctx ends, and returns its error then. It returns
// ErrStopping once the agent publishes nothing any more, which is when sending
// ends. A caller whose context has ended never gets the lock.
func (l lock) lock(ctx, sending context.Context) error {
	select {
	case l <- struct{}{}:
	default:
		select {
		case l <- struct{}{}:
		case <-sending.Done():
			return ErrStopping
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	err := ctx.Err()
	if sending.Err() != nil {
		err = ErrStopping
	}
	if err != nil {
		l.unlock()
	}
	return err
}

func (l lock) unlock() { <-l }
