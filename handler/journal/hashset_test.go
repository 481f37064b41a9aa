package journal

import (
	"testing"

	"pgregory.net/rapid"
)

// A set of hashes is one, also of those that share a half.
func TestHashSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		half := rapid.Uint64Range(0, 3)
		hash := rapid.Custom(func(t *rapid.T) uint64 { return half.Draw(t, "high")<<32 | half.Draw(t, "low") })
		var s hashSet
		model := map[uint64]bool{}
		for range rapid.IntRange(0, 20).Draw(t, "times") {
			h := hash.Draw(t, "hash")
			if s.has(h) != model[h] {
				t.Fatalf("%x: %v, want %v", h, s.has(h), model[h])
			}
			s.add(h)
			model[h] = true
			if s.len() != len(model) {
				t.Fatalf("%d hashes, want %d", s.len(), len(model))
			}
		}
		for high := range uint64(4) {
			for low := range uint64(4) {
				if h := high<<32 | low; s.has(h) != model[h] {
					t.Fatalf("%x: %v, want %v", h, s.has(h), model[h])
				}
			}
		}
	})
}
