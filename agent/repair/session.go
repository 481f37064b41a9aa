package repair

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"agentctl/handler/journal"
)

// doubtError is a peer that has let go of events which were not compared: they
// may be lacking here.
type doubtError struct {
	peer    string
	log     watermark // what was compared of its log
	trimmed uint64    // up to where it let go of events
	born    time.Time // of this node, when the comparison began
}

func (e *doubtError) Error() string {
	return fmt.Sprintf("%s has let go of events up to its number %d, and was compared up to %d", e.peer, e.trimmed, e.log.seq)
}

// refusedEvery is how often, at most, the log says that peers were not believed.
const refusedEvery = 10 * time.Second

// session is one comparison with one peer.
type session struct {
	*Repair
	peer        string
	incarnation uint64      // of the peer; 0 before its first answer
	trimmed     uint64      // the peer's, by its last answer
	records     bool        // the peer has a record of what it let go of
	vouched     uint64      // up to which number of its log that is known to have been here
	fetched     int         // events
	born        time.Time   // of this node, when it began
	idle        *time.Timer // ends it at ends; nil for none
	ends        time.Time
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

// errImpossible is what no log can be: the peer lies or is broken, and nothing that
// it says counts.
var errImpossible = errors.New("repair: a peer says of its log what cannot be")

// untrue tells of an error that the peer's answer was none.
func untrue(err error) bool { return errors.Is(err, errImpossible) || errors.Is(err, errMalformed) }

func (s *session) logUntrue(err error) {
	s.sampled.Log(slog.LevelWarn, "repair: a peer was not believed", refusedEvery, "peer", s.peer, "error", err)
}

// compare fetches what a peer has and is lacking here; hurry tells that another
// round should not wait.
func (r *Repair) compare(ctx context.Context, s *session) (hurry bool, err error) {
	hurry, err = s.run(ctx)
	result := resultSame
	switch _, doubt := errors.AsType[*doubtError](err); {
	case doubt:
		result = resultDoubt
	case untrue(err):
		result = resultRefused
		s.logUntrue(err)
	case err != nil:
		result = resultFailed
	case s.fetched > 0:
		result = resultRepaired
		r.cfg.Logger.Info("repair: events were lacking here", "peer", s.peer, "events", s.fetched)
	}
	r.metrics.compared.WithLabelValues(result).Inc()
	return hurry || s.fetched > 0, err
}

// open asks whether anything differs, and tells up to where the peer's log was
// compared before.
func (s *session) open(ctx context.Context) (req *compareRequest, a compareAnswer, log watermark, err error) {
	ext, err := s.cfg.Store.Extent()
	if err != nil {
		return nil, a, log, err
	}
	req = s.request(ext)
	own, err := s.cfg.Store.Digests(span{req.from, ^uint64(0)})
	if err != nil {
		return nil, a, log, err
	}
	req.known = append(req.known, own[0])
	if err := s.ask(ctx, req, &a); err != nil {
		return nil, a, log, err
	}
	s.records = a.records
	log, err = s.compared(&a)
	return req, a, log, err
}

func (s *session) run(ctx context.Context) (hurry bool, err error) {
	req, a, log, err := s.open(ctx)
	if err != nil {
		return false, err
	}
	doubt := func() error {
		if s.trimmed <= log.seq {
			return nil
		}
		if err := s.vouch(ctx, log.seq); err != nil || s.trimmed <= s.vouched {
			return err
		}
		d := &doubtError{s.peer, log, s.trimmed, s.born}
		if !s.deferGap(d) {
			return d
		}
		log.seq = s.trimmed // a flush will stand for all up to there
		return nil
	}
	if err := doubt(); err != nil {
		return false, err // nothing is fetched that a flush makes needless
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
	if s.trimmed > a.head {
		// This comparison says nothing of them. The next one has the head that belongs
		// to the number, and so shows whether there can be such a one.
		return true, fmt.Errorf("%s let go of events up to its number %d meanwhile, and it had %d", s.peer, s.trimmed, a.head)
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
func (s *session) request(ext journal.Extent) *compareRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.state
	s.born = st.born
	st.floor = max(st.floor, ext.Floor)
	req := &compareRequest{from: max(st.base, st.floor), age: st.age(time.Now())}
	if p := st.peers[s.peer]; p != nil {
		req.incarnation, req.seq = p.incarnation, p.seq
		req.known = append(req.known, p.agreed)
	}
	return req
}

// compared is up to where the peer's log was compared before, in the peer's own
// words: it alone knows what a number of an earlier incarnation is worth.
func (s *session) compared(a *compareAnswer) (watermark, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.watermark > a.head || a.trimmed > a.head {
		// What is known of this log can be wrong as well, as an older version believed
		// hearsay. Without it, the log is compared from this node's birth on.
		delete(s.state.peers, s.peer)
		return watermark{}, fmt.Errorf("%w: it ends at %d, is compared up to %d, and let go of events up to %d", errImpossible, a.head, a.watermark, a.trimmed)
	}
	s.hear(s.peer, watermark{a.incarnation, a.head}, time.Now())
	return watermark{a.incarnation, a.watermark}, nil
}

// bornAt tells whether no flush has come since a time at which the node was born then.
func (r *Repair) bornAt(born time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.born.Equal(born)
}

// claim notes that nothing is lacking that the peer had when it began to answer. If
// a flush came meanwhile, more is wanted now than was compared.
func (s *session) claim(a *compareAnswer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.state.born.Equal(s.born) {
		return
	}
	s.state.meet(s.peer, watermark{a.incarnation, a.head}, a.digest, time.Now())
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
