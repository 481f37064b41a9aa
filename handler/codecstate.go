package handler

import (
	"math"
	"slices"

	"agentctl/handler/varint"
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
		b.Uint(v)
	}
	return b.seal(key)
}

func decodeHeader(key, value []byte) (header, counts, error) {
	d, err := unseal(key, value)
	if err != nil {
		return header{}, counts{}, err
	}
	h := header{head: d.Uint(), first: d.Uint(), ltime: d.Uint()}
	n := counts{events: d.Uint(), values: valuesUnknown}
	if d.version > 3 {
		n.values = d.Uint()
	}
	if h.first == 0 || h.first > h.head+1 {
		return header{}, counts{}, errEncoding
	}
	return h, n, d.end()
}

func encodeCursor(key []byte, s *cursorState) []byte {
	b := newEncoder(64 + 8*(len(s.holes)+len(s.lostIn)+len(s.refused)))
	b.Uint(s.place)
	b.Uint(s.since)
	b.Uint(uint64(len(s.eras)))
	for _, era := range s.eras {
		b.Uint(era.from)
		b.Uint(uint64(len(era.filters)))
		for _, f := range era.filters {
			b.Text(string(f.Type))
			b.Text(f.Name)
		}
	}
	b.Uint(s.collapse)
	b.Uint(s.lost)
	b.Uint(s.expired)
	b.Time(s.gap.Since)
	b.spans(s.holes)
	b.spans(s.lostIn)
	b.spans(s.refused)
	b.Text(s.gap.Reason)
	b.Uint(s.last)
	return b.seal(key)
}

func (b *encoder) spans(spans spans) {
	b.Uint(uint64(len(spans)))
	at := uint64(0)
	for _, s := range spans {
		b.Uint(s.from - at)
		b.Uint(s.to - s.from)
		at = s.to
	}
}

func decodeCursor(key, value []byte) (cursorState, error) {
	d, err := unseal(key, value)
	if err != nil {
		return cursorState{}, err
	}
	s := cursorState{place: d.Uint(), since: d.Uint()}
	for i := range d.Count(varint.NoLimit) {
		era := era{from: d.Uint()}
		for range d.Count(varint.NoLimit) {
			era.filters = append(era.filters, Filter{Type: Type(d.string()), Name: d.string()})
		}
		if i > 0 && era.from < s.eras[i-1].from {
			d.Fail("filters are out of order")
		}
		s.eras = append(s.eras, era)
	}
	s.collapse, s.lost, s.expired, s.gap.Since = d.Uint(), d.Uint(), d.Uint(), d.Time()
	s.holes, s.lostIn, s.refused = d.spans(), d.spans(), d.spans()
	if d.version > 1 {
		s.gap.Reason = d.string()
	} else if s.gap.Open() {
		s.gap.Reason = unknownReason
	}
	if d.version > 2 {
		s.last = d.Uint()
	}
	if len(s.eras) == 0 {
		d.Fail("there are no filters")
	}
	if err := d.end(); err != nil {
		return cursorState{}, err
	}
	return s, nil
}

func (d *decoder) spans() (out spans) {
	at := uint64(0)
	for range d.Count(varint.NoLimit) {
		s := span{from: at + d.Uint()}
		s.to = s.from + d.Uint()
		if s.from < at || s.to < s.from {
			d.Fail("a span is out of order")
		}
		out = append(out, s)
		at = s.to
	}
	return out
}

func encodeSeqs(key []byte, seqs []uint64) []byte {
	b := newEncoder(16 + 2*len(seqs))
	b.Uint(uint64(len(seqs)))
	at := uint64(0)
	for _, seq := range seqs {
		b.Uint(seq - at)
		at = seq
	}
	return b.seal(key)
}

func decodeSeqs(key, value []byte) ([]uint64, error) {
	d, err := unseal(key, value)
	if err != nil {
		return nil, err
	}
	n := d.Count(varint.NoLimit)
	seqs := make([]uint64, n)
	at := uint64(0)
	for i := range seqs {
		next := at + d.Uint()
		if next < at || i > 0 && next == at {
			return nil, errEncoding
		}
		seqs[i], at = next, next
	}
	return seqs, d.end()
}

func encodeBurial(key []byte, why *BuriedInfo) []byte {
	b := newEncoder(len(why.Reason) + len(why.Answer) + 32)
	b.Time(why.Time)
	b.Uint(uint64(int64(why.Status)))
	b.Text(why.Reason)
	b.Bytes(why.Answer)
	return b.seal(key)
}

func decodeBurial(key, value []byte) (BuriedInfo, error) {
	d, err := unseal(key, value)
	if err != nil {
		return BuriedInfo{}, err
	}
	why := BuriedInfo{Time: d.Time(), Status: int(int64(d.Uint())), Reason: d.string()}
	if p := d.bytes(); len(p) > 0 {
		why.Answer = slices.Clone(p)
	}
	return why, d.end()
}
