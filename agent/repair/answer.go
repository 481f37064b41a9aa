package repair

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
)

var errBusy = errors.New("repair: too many requests at a time: ask again later")

// Handle answers a peer's request. It works in memory and takes a millisecond
// or so; an error is for the peer to read.
func (r *Repair) Handle(ctx context.Context, from string, req []byte) ([]byte, error) {
	select {
	case r.handling <- struct{}{}:
		defer func() { <-r.handling }()
	default:
		r.metrics.requests.WithLabelValues("busy").Inc()
		return nil, errBusy
	}
	r.metrics.received.Add(float64(len(req)))
	m, err := decodeRequest(req)
	if err != nil {
		r.metrics.requests.WithLabelValues("refused").Inc()
		r.cfg.Logger.Debug("repair: a request was refused", "peer", from, "error", err)
		return nil, err
	}
	a, o, err := r.answer(from, m)
	if err == nil {
		err = r.sign(o)
	}
	if err != nil {
		r.metrics.requests.WithLabelValues("failed").Inc()
		return nil, err
	}
	b := encodeAnswer(a)
	r.metrics.requests.WithLabelValues("answered").Inc()
	r.metrics.sent.Add(float64(len(b)))
	return b, nil
}

// answer makes the answer to a request; its origin is for sign to fill in.
func (r *Repair) answer(from string, m request) (answer, *origin, error) {
	switch m := m.(type) {
	case *compareRequest:
		a, err := r.answerCompare(m)
		if n := len(m.known); err == nil && n > 0 {
			r.heardFrom(from, m.known[n-1], a.digest)
		}
		return a, &a.origin, err
	case *digestsRequest:
		var parts []span
		for _, s := range m.spans {
			parts = append(parts, split(s)...)
		}
		digests, err := r.cfg.Store.Digests(parts...)
		a := &digestsAnswer{digests: digests}
		return a, &a.origin, err
	case *idsRequest:
		a, err := r.answerIDs(m)
		return a, &a.origin, err
	case *eventsRequest:
		a := r.answerEvents(m)
		return a, &a.origin, nil
	case *recordRequest:
		a, err := r.answerRecord(m)
		return a, &a.origin, err
	}
	panic("a kind of request that decodeRequest does not know")
}

// sign comes last of all, so that what the log let go of meanwhile is told.
func (r *Repair) sign(o *origin) error {
	ext, err := r.cfg.Store.Extent()
	r.mu.Lock()
	defer r.mu.Unlock()
	*o = origin{r.state.incarnation(), ext.Trimmed}
	return err
}

// answerCompare looks at the log's head first, and then at what is in the log: all
// that is in the log up to the head is in the digests, unless it was let go of.
func (r *Repair) answerCompare(m *compareRequest) (*compareAnswer, error) {
	a := &compareAnswer{records: true}
	now := time.Now()
	r.mu.Lock()
	seq, known := r.state.translate(watermark{m.incarnation, m.seq})
	r.mu.Unlock()
	ext, err := r.cfg.Store.Extent()
	if err == nil {
		err = r.record.note(r.cfg.Store)
	}
	if err != nil {
		return a, err
	}
	if seq > ext.Head { // nobody can have compared that: somebody else said so
		seq, known = 0, false
	}
	a.head, a.newest, a.watermark = ext.Head, ext.Newest, seq
	if !known && m.age < math.MaxInt64/uint64(time.Millisecond)/2 {
		a.watermark = r.headAt(now.Add(-time.Duration(m.age)*time.Millisecond - bornMargin))
	}
	digests, err := r.cfg.Store.Digests(span{m.from, math.MaxUint64})
	if err != nil {
		return a, err
	}
	a.digest, a.same = digests[0], slices.Contains(m.known, digests[0])
	if m.from > 0 {
		late, err := r.cfg.Store.LTimePage(journal.LTimeRange{To: m.from - 1, Above: a.watermark}, 1)
		if err != nil {
			return a, err
		}
		a.late = len(late) > 0
	}
	return a, nil
}

func (r *Repair) answerIDs(m *idsRequest) (*idsAnswer, error) {
	a := &idsAnswer{}
	for _, s := range m.spans {
		q := journal.LTimeRange{From: s[0], To: s[1], Above: m.above, After: m.after}
		page, err := r.cfg.Store.LTimePage(q, maxIDs-len(a.ids)+1)
		if err != nil {
			return a, err
		}
		for _, rec := range page {
			if len(a.ids) == maxIDs {
				a.more = true
				return a, nil
			}
			a.ids = append(a.ids, listedID{journal.LTimePos{LTime: rec.Event.LTime, Seq: rec.Seq}, rec.Event.ID})
		}
	}
	return a, nil
}

func (r *Repair) answerEvents(m *eventsRequest) *eventsAnswer {
	a := &eventsAnswer{}
	size := 0
	for _, id := range m.ids {
		rec, ok := r.cfg.Store.Find(id)
		if e := &rec.Event; ok && e.Type == handler.User {
			size += len(e.Name) + len(e.Payload)
			if size > pageBytes && len(a.events) > 0 {
				break
			}
			a.events = append(a.events, wireEvent{e.LTime, e.Name, string(e.Payload)})
		}
		a.done++
	}
	return a
}

func (r *Repair) answerRecord(m *recordRequest) (*recordAnswer, error) {
	a := &recordAnswer{}
	ext, err := r.cfg.Store.Extent()
	if err == nil {
		err = r.record.note(r.cfg.Store)
	}
	if err != nil {
		return a, err
	}
	a.upTo = ext.Trimmed
	a.vouched, a.known = r.record.vouch(m.above, ext.Trimmed, m.lows)
	return a, nil
}

// headAt gives a number that the log had passed at a time.
func (r *Repair) headAt(at time.Time) uint64 {
	return max(r.cfg.Store.HeadAt(at), r.record.headAt(at))
}
