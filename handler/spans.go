package handler

import (
	"cmp"
	"slices"
	"sort"
)

// span is a range of sequence numbers, both ends included.
type span struct{ from, to uint64 }

// spans are ranges in order, of which no two touch.
type spans []span

// at is the index of the first span that ends at a sequence number or beyond.
func (s spans) at(seq uint64) int {
	return sort.Search(len(s), func(i int) bool { return s[i].to >= seq })
}

func (s spans) has(seq uint64) bool {
	i := s.at(seq)
	return i < len(s) && s[i].from <= seq
}

// add takes a range in.
func (s *spans) add(r span) {
	i := s.at(max(r.from, 1) - 1)
	j := i
	for ; j < len(*s) && (*s)[j].from <= r.to+1; j++ {
		r.from, r.to = min(r.from, (*s)[j].from), max(r.to, (*s)[j].to)
	}
	*s = slices.Replace(*s, i, j, r)
}

// remove takes one sequence number out.
func (s *spans) remove(seq uint64) {
	i := s.at(seq)
	if i == len(*s) || (*s)[i].from > seq {
		return
	}
	old := (*s)[i]
	var rest []span
	if old.from < seq {
		rest = append(rest, span{old.from, seq - 1})
	}
	if seq < old.to {
		rest = append(rest, span{seq + 1, old.to})
	}
	*s = slices.Replace(*s, i, i+1, rest...)
}

// trim forgets what is before a sequence number.
func (s *spans) trim(first uint64) { *s = slices.Delete(*s, 0, s.at(first)) }

// squeeze joins neighbours when there are more than most, those that have the
// least between them first. It leaves a quarter of them free, so that spans
// which come one by one cost little each.
func (s *spans) squeeze(most int) {
	if len(*s) <= most {
		return
	}
	gap := func(i int) uint64 { return (*s)[i].from - (*s)[i-1].to }
	order := make([]int, 0, len(*s)) // of spans, by the gap before each
	for i := 1; i < len(*s); i++ {
		order = append(order, i)
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(gap(b), gap(a)) })
	keep := order[:most*3/4]
	slices.Sort(keep)
	out, from := make(spans, 0, most), 0
	for _, i := range append(keep, len(*s)) {
		out = append(out, span{(*s)[from].from, (*s)[i-1].to})
		from = i
	}
	*s = out
}
