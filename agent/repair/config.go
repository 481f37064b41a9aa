package repair

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentctl/handler"
	"agentctl/handler/journal"
)

// Store is what repair needs of a journal; a *journal.Journal is one. Its methods are called from several goroutines.
type Store interface {
	// Extent tells what the log spans, its present limits applied.
	Extent() (journal.Extent, error)
	// Digests sums up the user events in ranges of Lamport times.
	Digests(ranges ...[2]uint64) ([]journal.Digest, error)
	// LTimePage gives user events by Lamport time.
	LTimePage(r journal.LTimeRange, limit int) ([]journal.Record, error)
	// Find gives an event that is held.
	Find(id string) (journal.Record, bool)
	// Had tells whether an event is held, or is remembered to have been. What
	// the journal has forgotten can come a second time.
	Had(id string) bool
	// HeadAt gives a sequence number that the log had passed at a time.
	HeadAt(t time.Time) uint64
}

// Config is the configuration of a Repair. Store, Peers, Ask, Take, Gap and
// Clock are needed. A zero value of any other field means its default.
type Config struct {
	Store Store
	// Peers names the other agents of this kind that are alive, without this
	// one. It must not wait.
	Peers func() []string
	// Near names those of Peers to which links are kept anyway. Most comparisons are with
	// them. If each node has another choice of near peers, events get from node to node in
	// few rounds. Nil, or no name: all peers are alike. It must not wait.
	Near func() []string
	// Ask brings a request to a peer's Handle and returns the answer. It ends
	// with ctx. Requests have up to 64 KiB, answers mostly 256 KiB, and up to
	// 2 MiB where one event is as long.
	Ask func(ctx context.Context, peer string, req []byte) ([]byte, error)
	// Take puts user events into the journal, leaves out those that are
	// there, and returns when they are in it.
	Take func(ctx context.Context, events []handler.Event) error
	// Skip tells of the name of a user event that it is in no journal here, as
	// those of an older version may have it. Nil: there is none.
	Skip func(*handler.Event) bool
	// Gap has each target flushed once. It returns when that is sure to
	// happen, as sure as the journal is to keep events.
	Gap func(reason string) error
	// Clock is serf's event clock: the Lamport time that the next event gets.
	Clock func() uint64

	// State is what Save was given last, nil for nothing.
	State []byte
	// Save keeps State for the next process, as long as the journal is kept.
	// It must not come to be kept before all that the journal was given
	// before: an event whose loss in a crash is not noticed would stay lost.
	// Nil: the journal ends with the process.
	Save func(ctx context.Context, state []byte) error
	// Record and SaveRecord are likewise for what was ever in the journal, in up to
	// 128 KiB. If it is lost, the node and its peers may be flushed without need.
	Record     []byte
	SaveRecord func(ctx context.Context, record []byte) error

	Logger  *slog.Logger          // nil discards
	Metrics prometheus.Registerer // nil counts nothing

	minInterval time.Duration // between rounds, drawn anew for each; 10 s
	maxInterval time.Duration // and 30 s
	fanout      int           // peers asked in a round; 2
	maxRequests int           // requests handled at a time; more are refused; 4
	eventRate   int           // events fetched a second, and at once; 5,000
	byteRate    int           // bytes of answers a second, and at once; 4 MiB

	spawn func(func()) // runs a comparison; on a goroutine of its own

	rand *rand.Rand // for tests; used by one goroutine
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.rand == nil {
		c.rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	if c.Near == nil {
		c.Near = func() []string { return nil }
	}
	if c.Skip == nil {
		c.Skip = func(*handler.Event) bool { return false }
	}
	if c.spawn == nil {
		c.spawn = func(f func()) { go f() }
	}
	c.minInterval = cmp.Or(c.minInterval, 10*time.Second)
	c.maxInterval = cmp.Or(c.maxInterval, max(c.minInterval, 30*time.Second))
	c.fanout = cmp.Or(c.fanout, 2)
	c.maxRequests = cmp.Or(c.maxRequests, 4)
	c.eventRate = cmp.Or(c.eventRate, 5000)
	c.byteRate = cmp.Or(c.byteRate, 4<<20)
	return c
}

// validate names everything that is wrong with c, defaults filled in.
func (c Config) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("repair: "+format, args...))
		}
	}
	check(c.Store != nil, "Store is nil; give the journal")
	check(c.Peers != nil && c.Ask != nil, "Peers or Ask is nil; give what knows and reaches other agents")
	check(c.Take != nil && c.Gap != nil && c.Clock != nil, "Take, Gap or Clock is nil; give the functions")
	return errors.Join(errs...)
}
