package membership

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/logs"
	"agentctl/agent/peers"
	"agentctl/handler/backoff"
	"agentctl/handler/text"
)

// firstRetry is the wait after the first failed join of -retry-join; it doubles up
// to the interval.
const firstRetry = time.Second

// joinLogged is how many bytes of the addresses of a join the log has, and of its error.
const joinLogged = 4 << 10

// ErrNoAttempts is why a program ends that has used up the tries of -retry-max.
var ErrNoAttempts = errors.New("retry-join")

// JoinerConfig is what [NewJoiner] needs. Addresses are those that memberlist takes,
// and dns+srv://NAME.
type JoinerConfig struct {
	Start []string // joined once, at the start, or the program ends
	Retry []string // tried until one of them could be joined
	// Replay asks the others for the events from before the join.
	Replay bool
	// Interval is the longest wait between tries of Retry, and MaxAttempts how many
	// tries beyond the first there are before the program ends; 0 for no limit.
	Interval    time.Duration
	MaxAttempts int
	// Join contacts the addresses as serf does, and returns how many it reached.
	Join    func(addrs []string, replay bool) (int, error)
	Members func() []serf.Member // all of serf's
	Logger  *slog.Logger
}

// Joiner does the joins that were asked for at the start, and knows whether this
// node has joined. [NewJoiner] makes one, [Joiner.Run] runs it. Its methods are safe
// for concurrent use.
type Joiner struct {
	cfg    JoinerConfig
	srv    srvResolver
	lookup ipLookup

	once      sync.Once
	joined    chan struct{} // closed when there is no join left to wait for
	contacted int           // set before joined is closed
	tried     chan struct{} // closed when Run has ended

	mu       sync.Mutex
	failures []JoinFailure // of the last try
	sampled  logs.Sampled  // for its Nth
}

// NewJoiner returns a Joiner. Where no join is asked for, it counts as joined.
func NewJoiner(cfg JoinerConfig) *Joiner {
	j := &Joiner{cfg: cfg, srv: net.DefaultResolver, lookup: lookupIPs, joined: make(chan struct{}), tried: make(chan struct{})}
	if len(cfg.Start) == 0 && len(cfg.Retry) == 0 {
		j.setJoined(0)
	}
	return j
}

// Joined is closed once a join has succeeded, or members were found otherwise; at
// once where no join was asked for.
func (j *Joiner) Joined() <-chan struct{} { return j.joined }

// IsJoined tells whether Joined is closed.
func (j *Joiner) IsJoined() bool {
	select {
	case <-j.joined:
		return true
	default:
		return false
	}
}

// Contacted is how many nodes the first join reached, 0 where members were found
// otherwise. It waits until Joined is closed.
func (j *Joiner) Contacted() int {
	<-j.joined
	return j.contacted
}

func (j *Joiner) setJoined(contacted int) {
	j.once.Do(func() {
		j.contacted = contacted
		close(j.joined)
	})
}

// Join contacts the addresses and returns how many could be reached; the error is
// not nil only when none could. This node has joined then, whoever asked for it. It
// may take serf's dial timeout for each address.
func (j *Joiner) Join(addrs []string, replay bool) (int, error) {
	j.logJoin(addrs, replay)
	n, err := j.contact(addrs, replay)
	j.logJoined(n, err)
	return n, err
}

// logJoin logs that a join begins. A client may ask for very many addresses.
func (j *Joiner) logJoin(addrs []string, replay bool) {
	j.cfg.Logger.Debug("joining", "addrs", text.Shorten(fmt.Sprint(addrs), joinLogged), "replay", replay)
}

// logJoined logs how it went.
func (j *Joiner) logJoined(n int, err error) {
	if n > 0 {
		j.cfg.Logger.Debug("joined", "contacted", n)
	}
	if err != nil {
		j.cfg.Logger.Debug("join failed", "error", text.Shorten(err.Error(), joinLogged))
	}
}

// contact is Join for an address that nobody asked for: nothing is logged.
func (j *Joiner) contact(addrs []string, replay bool) (int, error) {
	n, err := j.cfg.Join(addrs, replay)
	if n > 0 {
		j.setJoined(n)
	}
	return n, err
}

// Run does the joins that were asked for, and returns when they are over or ctx
// ends. It returns an error where the program has to end for want of one. It is
// called once; a dial under way ends by serf's time limit alone.
func (j *Joiner) Run(ctx context.Context) error {
	defer close(j.tried)
	if len(j.cfg.Start) > 0 {
		n, err := j.try(ctx, j.cfg.Start, false)
		if ctx.Err() != nil {
			return nil
		}
		if n == 0 {
			return fmt.Errorf("join: %w", err)
		}
		j.cfg.Logger.Info("joined the cluster", "contacted", n)
	}
	if len(j.cfg.Retry) == 0 {
		return nil
	}
	return j.retry(ctx)
}

// retry tries the addresses of Retry until one could be joined. With a limit of
// attempts it waits for the interval between them, as serf does. Without one it
// begins with shorter waits, so that nodes that start together find each other soon.
func (j *Joiner) retry(ctx context.Context) error {
	waits, began := backoff.Backoff{Min: firstRetry, Max: j.cfg.Interval}, time.Now()
	for attempt := 1; ; attempt++ {
		j.cfg.Logger.Debug("joining by retry-join", "replay", j.cfg.Replay)
		n, err := j.try(ctx, j.cfg.Retry, true)
		if ctx.Err() != nil {
			return nil
		}
		if n > 0 {
			j.cfg.Logger.Info("joined the cluster by retry-join", "contacted", n, "attempts", attempt)
			return nil
		}
		j.joinedAnyway()
		if j.cfg.MaxAttempts > 0 && attempt > j.cfg.MaxAttempts {
			j.cfg.Logger.Error("retry-join: no attempts are left", "attempts", attempt, "error", flatten(err))
			return fmt.Errorf("%w: none of %s could be joined in %d attempts: %w", ErrNoAttempts, strings.Join(j.cfg.Retry, ", "), attempt, err)
		}
		longest := waits.Ceiling(attempt)
		pause := backoff.Between(longest/2, longest)
		if j.cfg.MaxAttempts > 0 {
			pause = j.cfg.Interval
		}
		level := j.failureLevel(attempt, time.Since(began))
		j.cfg.Logger.Log(ctx, level, "joining failed, trying again", "attempt", attempt, "in", pause.Round(time.Millisecond),
			"error", j.why(err), logs.ForSerf("serf_error", text.Shorten(err.Error(), joinLogged)))
		if backoff.Sleep(ctx, pause) != nil {
			return nil
		}
	}
}

// joinedAnyway counts the node as joined if it is in a cluster although none of Retry
// could be reached: it found members by its snapshot, or they found it. The addresses
// are still tried.
func (j *Joiner) joinedAnyway() {
	if others := len(peers.AliveNames(j.cfg.Members())) - 1; others > 0 && !j.IsJoined() {
		j.cfg.Logger.Info("in the cluster, although none of retry-join could be joined yet", "others", others)
		j.setJoined(0)
	}
}

// try looks the names up anew and joins those that it can, one after the other as
// memberlist would, so that the error of each is known. If few are enough, it joins only
// some of those that a name stands for.
func (j *Joiner) try(ctx context.Context, names []string, few bool) (int, error) {
	var all []string
	addrs, lookups := make([][]string, len(names)), make([]error, len(names))
	for i, name := range names {
		addrs[i], lookups[i] = resolve(ctx, j.srv, []string{name})
		if few {
			addrs[i] = someOf(ctx, j.lookup, addrs[i])
		}
		all = append(all, addrs[i]...)
	}
	n, errs := j.joinEach(ctx, addrs, all)
	if ctx.Err() != nil && n == 0 {
		return 0, ctx.Err()
	}
	var failures []JoinFailure
	for i, name := range names {
		if err := errors.Join(lookups[i], errs[i]); err != nil {
			cause, early := causeOf(err)
			failures = append(failures, JoinFailure{text.Excerpt(name, text.ExcerptSize), cause, early})
		}
	}
	j.note(failures)
	lookup := errors.Join(lookups...)
	if n == 0 {
		return 0, flatten(lookup, joined(errs))
	}
	if lookup != nil {
		j.cfg.Logger.Warn("joining: some addresses could not be looked up", "error", flatten(lookup))
	}
	return n, nil
}

// joinEach joins the addresses of each name, and returns how many it reached, and the
// error of each.
func (j *Joiner) joinEach(ctx context.Context, addrs [][]string, all []string) (n int, errs []error) {
	errs = make([]error, len(addrs))
	if len(all) == 0 {
		return 0, errs
	}
	j.logJoin(all, j.cfg.Replay)
	for i := range addrs {
		if len(addrs[i]) == 0 || ctx.Err() != nil {
			continue
		}
		reached, err := j.cfg.Join(addrs[i], j.cfg.Replay)
		n, errs[i] = n+reached, err
	}
	if n > 0 {
		j.setJoined(n)
		j.logJoined(n, nil)
	} else {
		j.logJoined(0, joined(errs))
	}
	return n, errs
}
