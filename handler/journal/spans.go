package journal

import (
	"cmp"
	"slices"
	"sort"
)

// Span is a range of sequence numbers, with both ends.
type Span struct{ From, To uint64 }

// spans are in order, and no two of them touch.
type spans []Span

// at is the index of the first span that ends at a sequence number or beyond.
func (s spans) at(seq uint64) int {
	return sort.Search(len(s), func(i int) bool { return s[i].To >= seq })
}

func (s spans) has(seq uint64) bool {
	i := s.at(seq)
	return i < len(s) && s[i].From <= seq
}

// add puts a range in.
func (s *spans) add(r Span) {
	i := s.at(max(r.From, 1) - 1)
	j := i
	for ; j < len(*s) && (*s)[j].From <= r.To+1; j++ {
		r.From, r.To = min(r.From, (*s)[j].From), max(r.To, (*s)[j].To)
	}
	*s = slices.Replace(*s, i, j, r)
}

// remove takes one sequence number out.
func (s *spans) remove(seq uint64) {
	i := s.at(seq)
	if i == len(*s) || (*s)[i].From > seq {
		return
	}
	old := (*s)[i]
	var rest []Span
	if old.From < seq {
		rest = append(rest, Span{old.From, seq - 1})
	}
	if seq < old.To {
		rest = append(rest, Span{seq + 1, old.To})
	}
	*s = slices.Replace(*s, i, i+1, rest...)
}

// trim forgets the spans that end before a sequence number.
func (s *spans) trim(first uint64) { *s = slices.Delete(*s, 0, s.at(first)) }

// squeeze joins neighbours if there are more than most spans, beginning with those
// that have the least between them. It joins until a quarter of most is free, so
// that spans which come one by one cost little each.
func (s *spans) squeeze(most int) {
	if len(*s) <= most {
		return
	}
	gap := func(i int) uint64 { return (*s)[i].From - (*s)[i-1].To }
	order := make([]int, 0, len(*s)) // of spans, by the gap before each
	for i := 1; i < len(*s); i++ {
		order = append(order, i)
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(gap(b), gap(a)) })
	keep := order[:most*3/4]
	slices.Sort(keep)
	out, from := make(spans, 0, most), 0
	for _, i := range append(keep, len(*s)) {
		out = append(out, Span{(*s)[from].From, (*s)[i-1].To})
		from = i
	}
	*s = out
}
