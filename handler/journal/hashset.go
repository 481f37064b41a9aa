package journal

// hashSet is a set of hashes. A map of them takes 16 bytes for each, although they have 8.
// So it is a map from one half of a hash to the other.
type hashSet struct {
	halves map[uint32]uint32
	more   map[uint64]struct{} // those whose first half another one has
}

func (s *hashSet) len() int { return len(s.halves) + len(s.more) }

func (s *hashSet) has(hash uint64) bool {
	if low, ok := s.halves[uint32(hash>>32)]; ok && low == uint32(hash) {
		return true
	}
	_, ok := s.more[hash]
	return ok
}

func (s *hashSet) add(hash uint64) {
	if s.has(hash) {
		return
	}
	if _, taken := s.halves[uint32(hash>>32)]; taken {
		if s.more == nil {
			s.more = make(map[uint64]struct{})
		}
		s.more[hash] = struct{}{}
		return
	}
	if s.halves == nil {
		s.halves = make(map[uint32]uint32)
	}
	s.halves[uint32(hash>>32)] = uint32(hash)
}
