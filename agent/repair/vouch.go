package repair

import "context"

// vouch asks a peer that has let go of events behind a number what they were, in sum. If
// they were in this node's journal, too, s.vouched says up to which number that is so.
func (s *session) vouch(ctx context.Context, above uint64) error {
	// If the peer lets go of more meanwhile, a second question covers that.
	for range 2 {
		if !s.records || s.trimmed <= s.vouched {
			return nil
		}
		var a recordAnswer
		if err := s.ask(ctx, &recordRequest{above: above, lows: s.record.lows()}, &a); err != nil {
			return err
		}
		if !a.known {
			return nil
		}
		if err := s.record.note(s.cfg.Store); err != nil {
			return err
		}
		if within := a.within; within[0] <= within[1] {
			if own, ok := s.record.total(within); !ok || own != a.digest {
				return nil
			}
		}
		for _, id := range a.strays {
			if !s.cfg.Store.Had(id) {
				return nil
			}
		}
		s.vouched = a.upTo
	}
	return nil
}
