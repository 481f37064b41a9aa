package disk

import (
	"math"
	"slices"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/varint"
)

// counts tell how many values the file has. They show that a whole page is missing.
type counts struct {
	events uint64
	values uint64 // of targets; valuesUnknown if version 3 or an earlier one wrote the header
}

const valuesUnknown = math.MaxUint64

// unknownReason stands for the reason of a gap that version 1 wrote.
const unknownReason = "an earlier version of this program kept no reason"

func encodeHeader(key []byte, h journal.Header, n counts) []byte {
	b := newEncoder(48)
	for _, v := range []uint64{h.Head, h.First, h.LTime, n.events, n.values} {
		b.Uint(v)
	}
	return b.seal(key)
}

func decodeHeader(key, value []byte) (journal.Header, counts, error) {
	d, err := unseal(key, value)
	if err != nil {
		return journal.Header{}, counts{}, err
	}
	h := journal.Header{Head: d.Uint(), First: d.Uint(), LTime: d.Uint()}
	n := counts{events: d.Uint(), values: valuesUnknown}
	if d.version > 3 {
		n.values = d.Uint()
	}
	if h.First == 0 || h.First > h.Head+1 {
		return journal.Header{}, counts{}, errEncoding
	}
	return h, n, d.end()
}

func encodeCursor(key []byte, s *journal.CursorState) []byte {
	b := newEncoder(64 + 8*(len(s.SettledExceptions)+len(s.LostSpans)+len(s.RefusedSpans)))
	b.Uint(s.Position)
	b.Uint(s.Since)
	b.Uint(uint64(len(s.Epochs)))
	for _, epoch := range s.Epochs {
		b.Uint(epoch.From)
		b.Uint(uint64(len(epoch.Filters)))
		for _, f := range epoch.Filters {
			b.Text(string(f.Type))
			b.Text(f.Name)
		}
	}
	b.Uint(s.CollapseBelow)
	b.Uint(s.Lost)
	b.Uint(s.Expired)
	b.Time(s.Gap.Since)
	b.spans(s.SettledExceptions)
	b.spans(s.LostSpans)
	b.spans(s.RefusedSpans)
	b.Text(s.Gap.Reason)
	b.Uint(s.LastEvent)
	return b.seal(key)
}

func (b *encoder) spans(spans []journal.Span) {
	b.Uint(uint64(len(spans)))
	at := uint64(0)
	for _, s := range spans {
		b.Uint(s.From - at)
		b.Uint(s.To - s.From)
		at = s.To
	}
}

func decodeCursor(key, value []byte) (journal.CursorState, error) {
	d, err := unseal(key, value)
	if err != nil {
		return journal.CursorState{}, err
	}
	s := journal.CursorState{Position: d.Uint(), Since: d.Uint()}
	for i := range d.Count(varint.NoLimit) {
		epoch := journal.FilterEpoch{From: d.Uint()}
		for range d.Count(varint.NoLimit) {
			epoch.Filters = append(epoch.Filters, handler.Filter{Type: handler.Type(d.string()), Name: d.string()})
		}
		if i > 0 && epoch.From < s.Epochs[i-1].From {
			d.Fail("filters are out of order")
		}
		s.Epochs = append(s.Epochs, epoch)
	}
	s.CollapseBelow, s.Lost, s.Expired, s.Gap.Since = d.Uint(), d.Uint(), d.Uint(), d.Time()
	s.SettledExceptions, s.LostSpans, s.RefusedSpans = d.spans(), d.spans(), d.spans()
	if d.version > 1 {
		s.Gap.Reason = d.string()
	} else if s.Gap.Open() {
		s.Gap.Reason = unknownReason
	}
	if d.version > 2 {
		s.LastEvent = d.Uint()
	}
	if len(s.Epochs) == 0 {
		d.Fail("there are no filters")
	}
	if err := d.end(); err != nil {
		return journal.CursorState{}, err
	}
	return s, nil
}

func (d *decoder) spans() (out []journal.Span) {
	at := uint64(0)
	for range d.Count(varint.NoLimit) {
		s := journal.Span{From: at + d.Uint()}
		s.To = s.From + d.Uint()
		if s.From < at || s.To < s.From {
			d.Fail("a span is out of order")
		}
		out = append(out, s)
		at = s.To
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

func encodeBurial(key []byte, why *journal.Burial) []byte {
	b := newEncoder(len(why.Reason) + len(why.Answer) + 32)
	b.Time(why.Time)
	b.Uint(uint64(int64(why.Status)))
	b.Text(why.Reason)
	b.Bytes(why.Answer)
	return b.seal(key)
}

func decodeBurial(key, value []byte) (journal.Burial, error) {
	d, err := unseal(key, value)
	if err != nil {
		return journal.Burial{}, err
	}
	why := journal.Burial{Time: d.Time(), Status: int(int64(d.Uint())), Reason: d.string()}
	if p := d.bytes(); len(p) > 0 {
		why.Answer = slices.Clone(p)
	}
	return why, d.end()
}
