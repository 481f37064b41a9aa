package probe

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// Every is the time between two connections to an address that refuses them. So it
	// is also how long a server can be back before a Prober notices.
	Every = 200 * time.Millisecond
	// lookEvery is likewise for an address where somebody waits behind an answer.
	lookEvery = time.Second
	// dialTimeout bounds one connection.
	dialTimeout = time.Second
)

// The results of connections, in the metrics.
const taken, failed = "taken", "failed"

// Dial connects to an address, as [net.Dialer.DialContext] does.
type Dial = func(ctx context.Context, network, addr string) (net.Conn, error)

// Reason is why somebody waits.
type Reason int

const (
	Failed   Reason = iota // connected, but there was no answer; or something else failed
	Refused                // nobody listened
	Answered               // the server's answer was to come again later
)

// Prober watches addresses. Its methods are safe for concurrent use. Its goroutines end
// with the last Watch.
type Prober struct {
	dial  Dial
	dials *prometheus.CounterVec

	mu      sync.Mutex
	watched map[address]*watched
}

type address struct{ network, addr string }

// watched is an address where somebody waits. The Prober's lock guards its watches.
type watched struct {
	address
	watches []*Watch
	changed chan struct{} // holds a value if watches were added
	ctx     context.Context
	end     context.CancelFunc
}

// Watch is one who waits.
type Watch struct {
	// Back is closed once a connection is taken after one was refused since this Watch
	// began, or right before.
	Back <-chan struct{}

	back    chan struct{}
	reason  Reason
	refused bool // a connection was, since the Watch began
	prober  *Prober
	at      *watched
}

// New makes a Prober that connects by dial; nil: on the network of this machine. With a
// nil registerer nobody sees its metrics.
func New(dial Dial, reg prometheus.Registerer) *Prober {
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	dials := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "agentctl_probes_total",
		Help: "Connections, without a request, to targets at which events wait, to see whether they are back, by result: taken or failed.",
	}, []string{"result"})
	for _, result := range []string{taken, failed} {
		dials.WithLabelValues(result) // there from the beginning
	}
	if reg != nil {
		reg.MustRegister(dials)
	}
	return &Prober{dial: dial, dials: dials, watched: map[address]*watched{}}
}

// Watch begins to wait for an address. It does not block. The caller calls Stop.
func (p *Prober) Watch(network, addr string, reason Reason) *Watch {
	w := &Watch{back: make(chan struct{}), reason: reason, refused: reason == Refused, prober: p}
	w.Back = w.back
	p.mu.Lock()
	defer p.mu.Unlock()
	key := address{network, addr}
	at := p.watched[key]
	if at == nil {
		at = &watched{address: key, changed: make(chan struct{}, 1)}
		at.ctx, at.end = context.WithCancel(context.Background())
		p.watched[key] = at
		go p.probe(at)
	}
	w.at = at
	at.watches = append(at.watches, w)
	if w.refused {
		at.refuse()
	}
	select {
	case at.changed <- struct{}{}:
	default:
	}
	return w
}

// Stop ends the wait. It may be called more than once.
func (w *Watch) Stop() {
	w.prober.mu.Lock()
	defer w.prober.mu.Unlock()
	w.at.watches = slices.DeleteFunc(w.at.watches, func(o *Watch) bool { return o == w })
	w.prober.forget(w.at)
}

// forget ends the probing of an address where nobody waits any more. The caller holds
// the lock.
func (p *Prober) forget(at *watched) {
	if len(at.watches) > 0 {
		return
	}
	at.end()
	if p.watched[at.address] == at {
		delete(p.watched, at.address)
	}
}

func (at *watched) refuse() {
	for _, w := range at.watches {
		w.refused = true
	}
}

// every is the time between two connections; 0: none is to be made.
func (at *watched) every() (every time.Duration) {
	for _, w := range at.watches {
		switch {
		case w.refused:
			return Every
		case w.reason == Answered:
			every = lookEvery
		}
	}
	return every
}

// probe connects to an address until nobody waits there any more.
func (p *Prober) probe(at *watched) {
	last := time.Now()
	for {
		p.mu.Lock()
		every := at.every()
		p.mu.Unlock()
		var due <-chan time.Time
		if every > 0 {
			due = time.After(time.Until(last.Add(every)))
		}
		select {
		case <-at.ctx.Done():
			return
		case <-at.changed:
			continue
		case <-due:
		}
		err := p.connect(at)
		last = time.Now()
		p.mu.Lock()
		p.connected(at, err)
		p.mu.Unlock()
	}
}

func (p *Prober) connect(at *watched) error {
	ctx, cancel := context.WithTimeout(at.ctx, dialTimeout)
	defer cancel()
	conn, err := p.dial(ctx, at.network, at.addr)
	if err != nil {
		p.dials.WithLabelValues(failed).Inc()
		return err
	}
	p.dials.WithLabelValues(taken).Inc()
	// Nothing was sent, and nobody reads what may come.
	_ = conn.Close()
	return nil
}

// connected notes how a connection went. The caller holds the lock.
func (p *Prober) connected(at *watched, err error) {
	switch netErr, ok := errors.AsType[net.Error](err); {
	case err == nil:
		at.watches = slices.DeleteFunc(at.watches, func(w *Watch) bool {
			if w.refused {
				close(w.back)
			}
			return w.refused
		})
		p.forget(at)
	case ok && netErr.Timeout(), at.ctx.Err() != nil: // neither taken nor refused
	default:
		at.refuse()
	}
}
