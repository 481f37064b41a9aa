package durable

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// handledAtOnce is how many requests are worked on at a time.
	handledAtOnce = 32
	// arrivalWait is how long a request waits for an event. It is asked for again.
	arrivalWait = 500 * time.Millisecond
)

var errBusy = errors.New("durable: too many requests at a time: ask again later")

// Why a node cannot have events on a disk.
const (
	noDataDir   = "has no -data-dir"
	cannotWrite = "its journal cannot be written: "
)

// arrivals are those who wait for events to be in the journal.
type arrivals struct {
	n       atomic.Int32 // how many wait
	mu      sync.Mutex
	waiting map[string][]chan<- struct{} // by the event's ID
}

// Took is told the ID of each event that the journal has taken. It never waits, and
// costs nothing while nobody waits for an event.
func (d *Durable) Took(id string) {
	a := &d.arrivals
	if a.n.Load() == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.waiting[id] {
		select {
		case c <- struct{}{}:
		default: // it is awake
		}
	}
}

// add has c get a value when one of the events comes, until remove is called.
func (a *arrivals) add(ids []string, c chan<- struct{}) (remove func()) {
	a.n.Add(1) // first: what the journal takes from then on is told
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waiting == nil {
		a.waiting = map[string][]chan<- struct{}{}
	}
	for _, id := range ids {
		a.waiting[id] = append(a.waiting[id], c)
	}
	return func() {
		defer a.n.Add(-1)
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, id := range ids {
			a.forget(id, c)
		}
	}
}

func (a *arrivals) forget(id string, c chan<- struct{}) {
	all := a.waiting[id]
	for i := range all {
		if all[i] == c {
			all[i] = all[len(all)-1]
			all = all[:len(all)-1]
			break
		}
	}
	if a.waiting[id] = all; len(all) == 0 {
		delete(a.waiting, id)
	}
}

// unable says why this node cannot have events on a disk, "" if it can.
func (d *Durable) unable() string {
	if d.cfg.Sync == nil {
		return noDataDir
	}
	if why := d.cfg.Failing(); why != "" {
		return cannotWrite + why
	}
	return ""
}

// synced waits until one of the events is in the journal, and the file has it. It tells
// of each event whether the file has it; none after an error.
func (d *Durable) synced(ctx context.Context, ids []string, wait time.Duration) ([]bool, error) {
	in := make([]bool, len(ids))
	if !d.arrived(ctx, ids, in, wait) {
		return in, nil
	}
	if err := d.cfg.Sync(ctx); err != nil {
		return nil, err
	}
	return in, nil
}

// arrived waits until at least one of the events is in the journal, marks those that
// are, and tells whether there are any.
func (d *Durable) arrived(ctx context.Context, ids []string, in []bool, wait time.Duration) (any bool) {
	came := make(chan struct{}, 1)
	defer d.arrivals.add(ids, came)()
	late := time.NewTimer(wait)
	defer late.Stop()
	for over := false; !any && !over; {
		for i, id := range ids {
			in[i] = d.cfg.Had(id)
			any = any || in[i]
		}
		if any {
			break
		}
		select {
		case <-came:
		case <-late.C:
			over = true
		case <-ctx.Done():
			over = true
		}
	}
	return any
}

// here waits until this node has an event on its disk, and says why it has not.
func (d *Durable) here(ctx context.Context, id string) (why string) {
	for ctx.Err() == nil {
		in, err := d.synced(ctx, []string{id}, arrivalWait)
		if err != nil {
			return cannotWrite + err.Error()
		}
		if in[0] {
			return ""
		}
	}
	return "does not have the event in its journal yet"
}

// Handle answers a request of a peer, which came from this address.
func (d *Durable) Handle(ctx context.Context, from string, req []byte) ([]byte, error) {
	if len(req) > 0 && req[0] == delegatedVersion {
		return d.delegates.Handle(ctx, from, req)
	}
	select {
	case d.handling <- struct{}{}:
		defer func() { <-d.handling }()
	default:
		d.metrics.handled("busy")
		return nil, errBusy
	}
	ids, err := decodeRequest(req)
	if err != nil {
		d.metrics.handled("refused")
		return nil, err
	}
	r := reply{reason: d.unable(), synced: make([]bool, len(ids))}
	if r.reason == "" && len(ids) > 0 {
		in, err := d.synced(ctx, ids, arrivalWait)
		if err != nil {
			d.metrics.handled("failed")
			return nil, err
		}
		r.synced = in
	}
	d.metrics.handled("answered")
	return encodeReply(r), nil
}
