package handler

import (
	"slices"
	"time"
)

// header is the journal's own state.
type header struct {
	head  uint64 // the newest sequence number that was ever given
	first uint64 // of the retained events; head+1 when there is none
	ltime uint64 // the highest Lamport time of a user event
	count uint64 // events in the file: a check against whole pages gone astray
}

func encodeHeader(key []byte, h header) []byte {
	b := newEncoder(48)
	for _, v := range []uint64{h.head, h.first, h.ltime, h.count} {
		b.uint(v)
	}
	return b.seal(key)
}

func decodeHeader(key, value []byte) (header, error) {
	d, err := unseal(key, value)
	if err != nil {
		return header{}, err
	}
	h := header{d.uint(), d.uint(), d.uint(), d.uint()}
	if h.first == 0 || h.first > h.head+1 {
		return header{}, errEncoding
	}
	return h, d.end()
}

// cursorState is a cursor as it is written; queue tells what it means.
type cursorState struct {
	place    uint64
	since    uint64
	filters  Filters
	lost     uint64
	gapSince time.Time
	holes    []span
}

// pending tells whether an event waits for the cursor. The extras are those
// written beside the state.
func (s *cursorState) pending(e *entry, extras []uint64) bool {
	if e.Seq < s.place {
		return false
	}
	if _, extra := slices.BinarySearch(extras, e.Seq); !extra &&
		(e.Seq < s.since || !s.filters.Match(e.Event.Type, e.Event.Name)) {
		return false
	}
	i, _ := slices.BinarySearchFunc(s.holes, e.Seq, func(h span, seq uint64) int {
		if h.to < seq {
			return -1
		}
		return 1
	})
	return i == len(s.holes) || e.Seq < s.holes[i].from
}

func encodeCursor(key []byte, s *cursorState) []byte {
	b := newEncoder(64 + 8*len(s.holes))
	b.uint(s.place)
	b.uint(s.since)
	b.uint(uint64(len(s.filters)))
	for _, f := range s.filters {
		b.string(string(f.Type))
		b.string(f.Name)
	}
	b.uint(s.lost)
	b.time(s.gapSince)
	b.uint(uint64(len(s.holes)))
	at := uint64(0)
	for _, h := range s.holes {
		b.uint(h.from - at)
		b.uint(h.to - h.from)
		at = h.to
	}
	return b.seal(key)
}

func decodeCursor(key, value []byte) (cursorState, error) {
	d, err := unseal(key, value)
	if err != nil {
		return cursorState{}, err
	}
	s := cursorState{place: d.uint(), since: d.uint()}
	for range d.count() {
		s.filters = append(s.filters, Filter{Type: Type(d.string()), Name: d.string()})
	}
	s.lost, s.gapSince = d.uint(), d.time()
	at := uint64(0)
	for range d.count() {
		h := span{from: at + d.uint()}
		h.to = h.from + d.uint()
		if h.from < at || h.to < h.from {
			return cursorState{}, errEncoding
		}
		s.holes = append(s.holes, h)
		at = h.to
	}
	return s, d.end()
}

func encodeSeqs(key []byte, seqs []uint64) []byte {
	b := newEncoder(16 + 2*len(seqs))
	b.uint(uint64(len(seqs)))
	at := uint64(0)
	for _, seq := range seqs {
		b.uint(seq - at)
		at = seq
	}
	return b.seal(key)
}

func decodeSeqs(key, value []byte) ([]uint64, error) {
	d, err := unseal(key, value)
	if err != nil {
		return nil, err
	}
	n := d.count()
	seqs := make([]uint64, n)
	at := uint64(0)
	for i := range seqs {
		next := at + d.uint()
		if next < at || i > 0 && next == at {
			return nil, errEncoding
		}
		seqs[i], at = next, next
	}
	return seqs, d.end()
}

func encodeBurial(key []byte, why *BuriedInfo) []byte {
	b := newEncoder(len(why.Reason) + len(why.Answer) + 32)
	b.time(why.Time)
	b.uint(uint64(int64(why.Status)))
	b.string(why.Reason)
	b.bytes(why.Answer)
	return b.seal(key)
}

func decodeBurial(key, value []byte) (BuriedInfo, error) {
	d, err := unseal(key, value)
	if err != nil {
		return BuriedInfo{}, err
	}
	why := BuriedInfo{Time: d.time(), Status: int(int64(d.uint())), Reason: d.string()}
	if p := d.bytes(); len(p) > 0 {
		why.Answer = slices.Clone(p)
	}
	return why, d.end()
}
