package plumtree

import "testing"

// The caller is told which of the events that came wait for those before them, copies of such
// events too, and each of these is in Events then or later.
func TestWhatWaitsIsTold(t *testing.T) {
	tree := newTree(t, some(2)...)
	ids := func(seqs ...uint64) (all []ID) {
		for _, seq := range seqs {
			all = append(all, idIn(eventOf("p", 1, seq)))
		}
		return all
	}
	check := func(what string, out Actions, waits, events []ID) {
		t.Helper()
		expect(t, what+", waiting", out.Waits, waits)
		var got []ID
		for _, e := range out.Events {
			got = append(got, e.ID)
		}
		expect(t, what+", delivered", got, events)
	}
	come := func(what string, from Link, seqs, waits, events []uint64) {
		t.Helper()
		var messages [][]byte
		for _, seq := range seqs {
			messages = append(messages, eventOf("p", 1, seq))
		}
		check(what, receive(t, tree, 0, from, messages...), ids(waits...), ids(events...))
	}
	type seqs = []uint64
	come("in order", 0, seqs{1}, nil, seqs{1})
	come("ahead", 0, seqs{4, 3}, seqs{4, 3}, nil)
	come("copies", 1, seqs{3, 1, 4}, seqs{3, 4}, nil)
	come("again by the same link", 0, seqs{3}, seqs{3}, nil)
	come("one that closes a gap, and one ahead", 1, seqs{6, 2}, seqs{6}, seqs{2, 3, 4})
	come("a copy of what was delivered", 0, seqs{3}, nil, nil)
	come("one with the one before it", 0, seqs{8, 5, 7}, seqs{8}, seqs{5, 6, 7, 8})
	come("a gap that stays", 0, seqs{10}, seqs{10}, nil)
	check("once it is given up", tree.Due(OrderWait), nil, ids(10))
}
