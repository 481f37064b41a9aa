package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"agentctl/handler/backoff"
)

const (
	srvPrefix = "dns+srv://"
	// firstRetry is the wait after the first failed join; it doubles up to
	// -retry-interval.
	firstRetry = time.Second
)

// joiner is what joining needs of an agent.
type joiner interface {
	Join(addrs []string, replay bool) (int, error)
}

// retryJoin tries the addresses until one could be joined. With a limit of
// attempts it waits interval between them, as serf does; without one it begins
// with shorter waits, so that nodes that start together find each other soon.
// failed is called after each attempt that reached nobody. It returns nil after
// a success and when ctx ends, and an error when the attempts are used up.
func retryJoin(ctx context.Context, j joiner, r srvResolver, addrs []string, replay bool, interval time.Duration, maxAttempts int, failed func(), logger *slog.Logger) error {
	waits := backoff.Backoff{Min: firstRetry, Max: interval}
	for attempt := 1; ; attempt++ {
		n, err := joinOnce(ctx, j, r, addrs, replay, logger)
		if ctx.Err() != nil {
			return nil
		}
		if n > 0 {
			logger.Info("joined the cluster", "contacted", n, "attempts", attempt)
			return nil
		}
		failed()
		if maxAttempts > 0 && attempt > maxAttempts {
			return fmt.Errorf("retry-join: none of %s could be joined in %d attempts: %w", strings.Join(addrs, ", "), attempt, err)
		}
		longest := waits.Ceiling(attempt)
		pause := backoff.Between(longest/2, longest)
		if maxAttempts > 0 {
			pause = interval
		}
		logger.Warn("joining failed, trying again", "attempt", attempt, "in", pause.Round(time.Millisecond), "error", err)
		if backoff.Sleep(ctx, pause) != nil {
			return nil
		}
	}
}

// joinOnce resolves the addresses anew and joins those that it can.
func joinOnce(ctx context.Context, j joiner, r srvResolver, addrs []string, replay bool, logger *slog.Logger) (int, error) {
	resolved, resolveErr := resolve(ctx, r, addrs)
	if len(resolved) == 0 {
		return 0, resolveErr
	}
	n, err := j.Join(resolved, replay)
	if n > 0 {
		if resolveErr != nil {
			logger.Warn("joining: some addresses could not be looked up", "error", resolveErr)
		}
		return n, nil
	}
	return 0, flatError{errors.Join(resolveErr, err)}
}

// flatError gives an error's text on one line: memberlist writes several below
// one another.
type flatError struct{ error }

func (e flatError) Error() string {
	var parts []string
	for line := range strings.Lines(e.error.Error()) {
		if line = strings.TrimLeft(strings.TrimSpace(line), "* "); line != "" {
			parts = append(parts, line)
		}
	}
	return strings.Join(parts, " ")
}

func (e flatError) Unwrap() error { return e.error }

// srvResolver looks up SRV records; *[net.Resolver] is one.
type srvResolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (cname string, addrs []*net.SRV, err error)
}

// resolve replaces each dns+srv://name by the hosts and ports of its SRV
// records. Other addresses stay: memberlist looks names up itself, each time.
// What could not be looked up is in the error, beside the rest.
func resolve(ctx context.Context, r srvResolver, addrs []string) (out []string, err error) {
	var errs []error
	for _, a := range addrs {
		name, ok := strings.CutPrefix(a, srvPrefix)
		if !ok {
			out = append(out, a)
			continue
		}
		_, records, err := r.LookupSRV(ctx, "", "", name)
		// A lone record without a target says that there is no such service.
		records = slices.DeleteFunc(slices.Clone(records), func(rec *net.SRV) bool { return rec.Target == "." || rec.Target == "" })
		if err == nil && len(records) == 0 {
			err = errors.New("no SRV records")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", a, err))
			continue
		}
		for _, rec := range records {
			out = append(out, net.JoinHostPort(strings.TrimSuffix(rec.Target, "."), strconv.Itoa(int(rec.Port))))
		}
	}
	return out, errors.Join(errs...)
}
