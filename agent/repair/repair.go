package repair

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"agentctl/agent/logs"
	"agentctl/handler/journal"
)

const (
	// kickWait is how long, at most, after a kick a round begins: a heal kicks
	// many times, and many nodes.
	kickWait = time.Second
	// hurryWait is how long after a round the next one begins that cannot wait.
	hurryWait = time.Second
	// soonWait is the most after a round that found the log to have grown, or a
	// peer not to answer: what came here may not have come to all, nor what came
	// to others here. For peers that go on not to answer it doubles.
	soonWait = 3 * time.Second
	// maxFirst is how many peers are to be asked before those of the deck.
	maxFirst = 8
	// bornMargin is by how much peers look further back than to when this node
	// was born: their clocks may have been set meanwhile.
	bornMargin = 10 * time.Second
)

// Repair compares this node's journal with those of others. Make one with New,
// before the journal takes events. Its methods may be called from any
// goroutine.
type Repair struct {
	cfg       Config
	metrics   *metrics
	kicked    chan struct{}
	handling  chan struct{}
	events    *rate.Limiter
	bytes     *rate.Limiter
	sampled   logs.Sampled
	gapRate   *rate.Limiter
	turns     turns           // of Run: whose turn it is
	resting   bool            // of Run: nothing is known to be lacking anywhere
	underway  map[string]bool // of Run: peers with whom a comparison is under way
	ended     chan outcome    // of such comparisons; it has room for all
	comparing sync.WaitGroup
	record    *record
	// Of Run: when the record was saved last, and up to which number it went.
	recorded    time.Time
	recordedSeq uint64
	retry       string // of Run: the peer that did not answer last; "" for none
	silent      int    // of Run: rounds in a row in which one did not

	mu       sync.Mutex
	state    *state
	saved    []byte                    // what Save was given last
	lastHead uint64                    // see moved
	heads    map[string]heard          // of other logs, by peer
	first    []string                  // peers to be asked before those of the deck
	differed map[string]journal.Digest // of peers that asked, and had not what is here
	agreed   string                    // who asked last since the last round, and had what is here
	flushed  strikes                   // of peers whose doubts led to flushes
	idled    strikes                   // of peers whose comparisons brought nothing in their time
	pending  pendingGap                // nothing unless state.pending has a reason
}

// New makes a Repair that goes on from cfg.State, and saves that it does. The
// journal must be as the last process left it. An error names all that is wrong
// with cfg, or says that State cannot be read and what to do.
func New(ctx context.Context, cfg Config) (*Repair, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	ext, err := cfg.Store.Extent()
	if err != nil {
		return nil, err
	}
	st := newState()
	if cfg.State != nil {
		if st, err = decodeState(cfg.State); err != nil {
			return nil, err
		}
		if ext.Head < st.head {
			cfg.Logger.Error("repair: the journal is not the one that this node had: what other nodes have of its time is fetched, or gateways are flushed")
			st = newState()
		}
	}
	if ext.Head == 0 && len(st.incarnations) == 0 {
		st.born = time.Now()
	}
	st.newIncarnation(ext.Head, cfg.rand)
	r := &Repair{
		cfg:      cfg,
		metrics:  newMetrics(cfg.Metrics),
		kicked:   make(chan struct{}, 1),
		handling: make(chan struct{}, cfg.maxRequests),
		events:   rate.NewLimiter(rate.Limit(cfg.eventRate), cfg.eventRate),
		bytes:    rate.NewLimiter(rate.Limit(cfg.byteRate), cfg.byteRate),
		state:    st,
		heads:    map[string]heard{},
		sampled:  logs.Sampled{Logger: cfg.Logger},
		gapRate:  rate.NewLimiter(rate.Every(gapEvery), gapBurst),
		flushed:  strikes{},
		idled:    strikes{},
		underway: map[string]bool{},
		ended:    make(chan outcome, maxBeside),
		differed: map[string]journal.Digest{},
	}
	if r.record, err = openRecord(cfg, st, ext); err != nil {
		return nil, err
	}
	if st.pending != "" { // a restart waits for nobody
		if err := cfg.Gap(st.pending); err != nil {
			return nil, fmt.Errorf("repair: the flush that the last process owed: %w", err)
		}
		cfg.Logger.Warn("repair: gateways are flushed", "reason", st.pending)
		r.metrics.gaps.Inc()
		st.pending = ""
	}
	// Others' watermarks on the log are in terms of its incarnations: one that is forgotten
	// in a crash makes them worthless.
	r.save(ctx)
	return r, nil
}

// Run compares until ctx ends. It is to be started once the node has joined its
// cluster, or has nobody to join: a new node's base is the clock at that time.
func (r *Repair) Run(ctx context.Context) error {
	r.begin()
	defer r.comparing.Wait()
	wait := r.upTo(kickWait)
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		case <-r.kicked:
			r.resting = false
			timer.Reset(r.upTo(min(wait, kickWait)))
			select {
			case <-ctx.Done():
				timer.Stop()
				return nil
			case <-timer.C:
			}
		}
		wait = min(r.round(ctx), r.cfg.minInterval+r.upTo(r.cfg.maxInterval-r.cfg.minInterval))
	}
}

// upTo draws a time.
func (r *Repair) upTo(d time.Duration) time.Duration {
	return time.Duration(r.cfg.rand.Int64N(int64(d) + 1))
}

// upperHalf draws a time from half of d on.
func (r *Repair) upperHalf(d time.Duration) time.Duration { return d/2 + r.upTo(d/2) }

// Kick has a round begin within a second, because of a join, a heal, or messages
// to or from a peer that were dropped. It never waits.
func (r *Repair) Kick(reason string) {
	select {
	case r.kicked <- struct{}{}:
		r.cfg.Logger.Debug("repair: a round is due", "reason", reason)
	default: // one is due already
	}
}

// Meet is a Kick whose round asks a certain peer, before others: one that was
// just found, or to whom messages were dropped. It never waits.
func (r *Repair) Meet(peer, reason string) {
	r.mu.Lock()
	if len(r.first) < maxFirst && !slices.Contains(r.first, peer) {
		r.first = append(r.first, peer)
	}
	r.mu.Unlock()
	r.Kick(reason)
}

// begin gives a new node its base.
func (r *Repair) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.state
	if !s.based {
		s.based = true
		if !s.born.IsZero() {
			s.base = r.cfg.Clock()
			r.record.begin(s.base)
		}
	}
}

// save keeps what has changed for the next process. What could not be kept is
// kept with the next round; until then the next process would compare more.
func (r *Repair) save(ctx context.Context) {
	if r.cfg.Save == nil {
		return
	}
	ext, err := r.cfg.Store.Extent()
	if err == nil {
		r.mu.Lock()
		r.state.head = ext.Head
		r.state.floor = max(r.state.floor, ext.Floor)
		data := r.state.encode()
		changed := string(data) != string(r.saved)
		r.mu.Unlock()
		if !changed {
			return
		}
		if err = r.cfg.Save(ctx, data); err == nil {
			r.mu.Lock()
			r.saved = data
			r.mu.Unlock()
			return
		}
	}
	if ctx.Err() == nil && !errors.Is(err, context.Canceled) {
		r.cfg.Logger.Warn("repair: what has been compared could not be kept, it is tried again with the next round", "error", err)
	}
}
