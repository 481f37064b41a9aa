package large

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentctl/handler"
)

// Wanted is an event that is known by its reference.
type Wanted struct {
	Reference
	LTime    uint64
	Coalesce bool // scripts and streams may be given only the newest of its name
}

// ID is that of the event.
func (w *Wanted) ID() string { return handler.UserID(w.LTime, w.sum) }

// Config is the configuration of Bodies. Had, Held, Take and Lost are needed,
// and Holders where there is an Ask. A zero value of any other field means its
// default.
type Config struct {
	// Had tells whether the journal has the event, or had it.
	Had func(w *Wanted) bool
	// Held gives the payload of an event that the journal holds.
	Held func(id string) (payload []byte, ok bool)
	// Holders are the members to ask, in order: the first is the one of that
	// name, where it is one.
	Holders func(origin string) []string
	// Peer tells whether an origin is a member that may have events. nil: each is.
	Peer func(origin string) bool
	// Ask brings a request to a member's Handle and returns the answer, of
	// MaxEvent and 2 bytes at most. It ends with ctx. With a nil Ask nothing
	// can be fetched.
	Ask func(ctx context.Context, member string, req []byte) ([]byte, error)
	// Take takes an event in, and returns an error if ctx ends before.
	Take func(ctx context.Context, w *Wanted, payload []byte) error
	// Lost is told of an event that is not to be had. Losses that follow each other soon
	// are told together, some seconds later. It must not wait.
	Lost func(w *Wanted, reason string)

	Logger  *slog.Logger          // nil discards
	Metrics prometheus.Registerer // nil counts nothing

	maxWaiting int           // events waited for; 1,024
	fetchers   int           // events fetched at a time; 4
	askRate    int           // questions a second, and at once; 100
	byteRate   int           // bytes of answers a second, and at once; 32 MiB
	grace      time.Duration // most that is waited for another way before the first question; 100 ms
	patience   time.Duration // until an event is given up; 1 min

	rand *rand.Rand // for tests; guarded by the lock of Bodies
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.rand == nil {
		c.rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	if c.Peer == nil {
		c.Peer = func(string) bool { return true }
	}
	c.maxWaiting = cmp.Or(c.maxWaiting, 1024)
	c.fetchers = cmp.Or(c.fetchers, 4)
	c.askRate = cmp.Or(c.askRate, 100)
	c.byteRate = cmp.Or(c.byteRate, 32<<20)
	c.grace = cmp.Or(c.grace, 100*time.Millisecond)
	c.patience = cmp.Or(c.patience, time.Minute)
	return c
}

func (c Config) validate() error {
	switch {
	case c.Had == nil || c.Held == nil || c.Take == nil || c.Lost == nil:
		return errors.New("large: Had, Held, Take or Lost is nil; give the functions")
	case c.Ask != nil && c.Holders == nil:
		return errors.New("large: Holders is nil; give what knows the members to ask")
	}
	return nil
}
