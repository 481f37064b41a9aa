package handler

import (
	"math"
	"slices"
)

// counts are a check against whole pages gone astray: what the file holds.
type counts struct {
	events uint64
	values uint64 // of targets; valuesUnknown where version 3 or one before wrote it
}

const valuesUnknown = math.MaxUint64

func encodeHeader(key []byte, h header, n counts) []byte {
	b := newEncoder(48)
	for _, v := range []uint64{h.head, h.first, h.ltime, n.events, n.values} {
		b.uint(v)
	}
	return b.seal(key)
}

func decodeHeader(key, value []byte) (header, counts, error) {
	d, err := unseal(key, value)
	if err != nil {
		return header{}, counts{}, err
	}
	h := header{head: d.uint(), first: d.uint(), ltime: d.uint()}
	n := counts{events: d.uint(), values: valuesUnknown}
	if d.version > 3 {
		n.values = d.uint()
	}
	if h.first == 0 || h.first > h.head+1 {
		return header{}, counts{}, errEncoding
	}
	return h, n, d.end()
}

func encodeCursor(key []byte, s *cursorState) []byte {
	b := newEncoder(64 + 8*(len(s.holes)+len(s.lostIn)+len(s.refused)))
	b.uint(s.place)
	b.uint(s.since)
	b.uint(uint64(len(s.eras)))
	for _, era := range s.eras {
		b.uint(era.from)
		b.uint(uint64(len(era.filters)))
		for _, f := range era.filters {
			b.string(string(f.Type))
			b.string(f.Name)
		}
	}
	b.uint(s.collapse)
	b.uint(s.lost)
	b.uint(s.expired)
	b.time(s.gap.Since)
	b.spans(s.holes)
	b.spans(s.lostIn)
	b.spans(s.refused)
	b.string(s.gap.Reason)
	b.uint(s.last)
	return b.seal(key)
}

func (b *encoder) spans(spans spans) {
	b.uint(uint64(len(spans)))
	at := uint64(0)
	for _, s := range spans {
		b.uint(s.from - at)
		b.uint(s.to - s.from)
		at = s.to
	}
}

func decodeCursor(key, value []byte) (cursorState, error) {
	d, err := unseal(key, value)
	if err != nil {
		return cursorState{}, err
	}
	s := cursorState{place: d.uint(), since: d.uint()}
	for i := range d.count() {
		era := era{from: d.uint()}
		for range d.count() {
			era.filters = append(era.filters, Filter{Type: Type(d.string()), Name: d.string()})
		}
		d.bad = d.bad || i > 0 && era.from < s.eras[i-1].from
		s.eras = append(s.eras, era)
	}
	s.collapse, s.lost, s.expired, s.gap.Since = d.uint(), d.uint(), d.uint(), d.time()
	s.holes, s.lostIn, s.refused = d.spans(), d.spans(), d.spans()
	if d.version > 1 {
		s.gap.Reason = d.string()
	} else if s.gap.Open() {
		s.gap.Reason = unknownReason
	}
	if d.version > 2 {
		s.last = d.uint()
	}
	d.bad = d.bad || len(s.eras) == 0
	if err := d.end(); err != nil {
		return cursorState{}, err
	}
	return s, nil
}

func (d *decoder) spans() (out spans) {
	at := uint64(0)
	for range d.count() {
		s := span{from: at + d.uint()}
		s.to = s.from + d.uint()
		d.bad = d.bad || s.from < at || s.to < s.from
		out = append(out, s)
		at = s.to
	}
	return out
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
