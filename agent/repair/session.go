package repair

import (
	"context"
	"errors"
	"fmt"
	"time"

	"agentctl/handler/journal"
)

// doubtError is a peer that has let go of events which were not compared: they
// may be lacking here.
type doubtError struct {
	peer    string
	log     watermark // what was compared of its log
	trimmed uint64    // up to where it let go of events
}

func (e *doubtError) Error() string {
	return fmt.Sprintf("%s has let go of events up to its number %d, and was compared up to %d", e.peer, e.trimmed, e.log.seq)
}

// session is one comparison with one peer.
type session struct {
	*Repair
	peer        string
	incarnation uint64 // of the peer; 0 before its first answer
	trimmed     uint64 // the peer's, by its last answer
	fetched     int    // events
}

// ask sends a request and reads the answer.
func (s *session) ask(ctx context.Context, req request, a answer) error {
	b := encodeRequest(req)
	s.metrics.sent.Add(float64(len(b)))
	b, err := s.cfg.Ask(ctx, s.peer, b)
	if err != nil {
		return err
	}
	s.metrics.received.Add(float64(len(b)))
	if err := decodeAnswer(b, a); err != nil {
		return err
	}
	if s.incarnation != 0 && s.incarnation != a.from().incarnation {
		return errors.New("the peer was restarted meanwhile")
	}
	s.incarnation, s.trimmed = a.from().incarnation, a.from().trimmed
	// What has come is paid for afterwards, so that it is never too much to pay.
	return s.bytes.WaitN(ctx, min(len(b), s.cfg.byteRate))
}

// compareWith fetches what a peer has and is lacking here; hurry tells that
// another round should not wait. With watermarks, what the peer has compared counts
// as compared here where it wanted all that is wanted here.
func (r *Repair) compareWith(ctx context.Context, peer string, watermarks bool) (hurry bool, err error) {
	s := &session{Repair: r, peer: peer}
	hurry, err = s.run(ctx, watermarks)
	result := resultSame
	switch _, doubt := errors.AsType[*doubtError](err); {
	case doubt:
		result = resultDoubt
	case err != nil:
		result = resultFailed
	case s.fetched > 0:
		result = resultRepaired
		r.cfg.Logger.Info("repair: events were lacking here", "peer", peer, "events", s.fetched)
	}
	r.metrics.compared.WithLabelValues(result).Inc()
	return hurry || s.fetched > 0, err
}

func (s *session) run(ctx context.Context, watermarks bool) (hurry bool, err error) {
	ext, err := s.cfg.Store.Extent()
	if err != nil {
		return false, err
	}
	req := s.request(ext, watermarks)
	own, err := s.cfg.Store.Digests(span{req.from, ^uint64(0)})
	if err != nil {
		return false, err
	}
	req.known = append(req.known, own[0])
	var a compareAnswer
	if err := s.ask(ctx, req, &a); err != nil {
		return false, err
	}
	log := s.compared(&a)
	doubt := func() error {
		if s.trimmed > log.seq {
			return &doubtError{s.peer, log, s.trimmed}
		}
		return nil
	}
	if err := doubt(); err != nil {
		return false, err // before anything is fetched that a flush makes needless
	}
	if a.late {
		if err := s.fetchSpans(ctx, []span{{0, req.from - 1}}, log.seq); err != nil {
			return false, err
		}
	}
	if !a.same && a.digest.Count > 0 && a.newest >= req.from {
		if err := s.descend(ctx, span{req.from, a.newest}); err != nil {
			return false, err
		}
	}
	if err := doubt(); err != nil { // it went on letting go of events
		return true, err
	}
	s.claim(&a)
	// At this pace the peer would let go of events before it is asked again.
	hurry = a.trimmed > 0 && log.seq-a.trimmed < a.head-min(a.head, log.seq)
	return hurry, nil
}

// request begins a comparison.
func (s *session) request(ext journal.Extent, watermarks bool) *compareRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.state
	st.floor = max(st.floor, ext.Floor)
	req := &compareRequest{from: max(st.base, st.floor), age: st.age(time.Now()), watermarks: watermarks}
	if p := st.peers[s.peer]; p != nil {
		if n := st.watermarks[p.incarnation]; n != nil {
			req.incarnation, req.seq = p.incarnation, n.seq
		}
		req.known = append(req.known, p.agreed)
	}
	return req
}

// compared is up to where the peer's log was compared before, by itself or, as
// other peers told, elsewhere.
func (s *session) compared(a *compareAnswer) watermark {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hear(watermark{a.incarnation, a.head}, time.Now())
	log := watermark{a.incarnation, a.watermark}
	if n := s.state.watermarks[a.incarnation]; n != nil {
		log.seq = max(log.seq, n.seq)
	}
	return log
}

// settle notes that nothing is lacking that the peer had when it began to
// answer. What it had compared with others then is here too, or is not wanted,
// if the peer has wanted events for at least as long.
func (s *session) claim(a *compareAnswer) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.state
	st.advance(watermark{a.incarnation, a.head}, now)
	if a.age >= st.age(now) {
		for _, m := range a.watermarks {
			st.advance(m, now)
		}
	}
	if p := st.peers[s.peer]; p != nil && p.incarnation != a.incarnation {
		delete(st.watermarks, p.incarnation) // that incarnation is over
	}
	st.meet(s.peer, &acquaintance{a.incarnation, a.digest})
}

// leafEvents is up to how many events of a range the peer is asked for IDs,
// instead of digests of its parts: those cost about as much.
const leafEvents = 32

// descend finds what is lacking in a range where the digests differ.
func (s *session) descend(ctx context.Context, whole span) error {
	var leaves []span
	for todo := []span{whole}; len(todo) > 0; {
		// The last ones, which are the narrowest: so the list stays short.
		n := max(0, len(todo)-maxRanges)
		req := &digestsRequest{spans: todo[n:]}
		var parts []span
		for _, p := range req.spans {
			parts = append(parts, split(p)...)
		}
		var a digestsAnswer
		if err := s.ask(ctx, req, &a); err != nil {
			return err
		}
		if len(a.digests) != len(parts) {
			return fmt.Errorf("%w: %d digests where %d were asked for", errMalformed, len(a.digests), len(parts))
		}
		own, err := s.cfg.Store.Digests(parts...)
		if err != nil {
			return err
		}
		todo = todo[:n]
		for i, p := range parts {
			switch theirs := a.digests[i]; {
			case theirs.Count == 0 || theirs == own[i]:
			case own[i].Count == 0 || theirs.Count <= leafEvents || p[0] == p[1]:
				leaves = append(leaves, p)
			default:
				todo = append(todo, p)
			}
		}
		for len(leaves) >= maxRanges || len(todo) == 0 && len(leaves) > 0 {
			n := min(len(leaves), maxRanges)
			if err := s.fetchSpans(ctx, leaves[:n], 0); err != nil {
				return err
			}
			leaves = leaves[n:]
		}
	}
	return nil
}
