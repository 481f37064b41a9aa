package repair

import (
	"agentctl/handler/journal"
	"agentctl/handler/varint"
)

func (m *compareRequest) kind() kind { return kindCompare }

func (m *digestsRequest) kind() kind { return kindDigests }

func (m *idsRequest) kind() kind { return kindIDs }

func (m *eventsRequest) kind() kind { return kindEvents }

func (m *recordRequest) kind() kind { return kindRecord }

func (m *compareRequest) encode(e *encoder) {
	e.Uint(m.from)
	e.Uint(m.age)
	e.Fixed(m.incarnation)
	e.Uint(m.seq)
	e.Bool(false) // hearsay, see decode of compareAnswer
	e.Uint(uint64(len(m.known)))
	for _, d := range m.known {
		e.digest(d)
	}
}

func (m *compareRequest) decode(d *decoder) {
	m.from, m.age, m.incarnation, m.seq = d.Uint(), d.Uint(), d.Fixed(), d.Uint()
	d.Bool() // an older version wants hearsay
	m.known = varint.List(&d.Decoder, 2, d.digest)
}

func (o *origin) encode(e *encoder) {
	e.Fixed(o.incarnation)
	e.Uint(o.trimmed)
}

func (o *origin) decode(d *decoder) { o.incarnation, o.trimmed = d.Fixed(), d.Uint() }

func (m *compareAnswer) encode(e *encoder) {
	m.origin.encode(e)
	e.Uint(m.head)
	e.Uint(m.newest)
	e.Uint(m.watermark)
	e.Bool(m.same)
	e.digest(m.digest)
	e.Bool(m.late)
	e.Bool(m.records) // in place of an age
	e.Uint(0)         // no hearsay
}

func (m *compareAnswer) decode(d *decoder) {
	m.origin.decode(d)
	m.head, m.newest, m.watermark, m.same = d.Uint(), d.Uint(), d.Uint(), d.Bool()
	m.digest, m.late = d.digest(), d.Bool()
	// An older version tells its age, or 0, and what it has compared of others' logs. The
	// latter is hearsay, which nobody can check: it is not kept.
	m.records = d.Uint() == 1
	varint.List(&d.Decoder, maxHearsay, func() watermark { return watermark{d.Fixed(), d.Uint()} })
}

func encodeSpans(e *encoder, spans []span) {
	e.Uint(uint64(len(spans)))
	for _, s := range spans {
		e.Uint(s[0])
		e.Uint(s[1] - s[0])
	}
}

func decodeSpans(d *decoder) []span {
	return varint.List(&d.Decoder, maxRanges, func() span {
		low, width := d.Uint(), d.Uint()
		if low+width < low {
			d.Fail("a range goes beyond the highest number")
		}
		return span{low, low + width}
	})
}

func (m *digestsRequest) encode(e *encoder) { encodeSpans(e, m.spans) }

func (m *digestsRequest) decode(d *decoder) { m.spans = decodeSpans(d) }

func (m *digestsAnswer) encode(e *encoder) {
	m.origin.encode(e)
	e.Uint(uint64(len(m.digests)))
	for _, g := range m.digests {
		e.digest(g)
	}
}

func (m *digestsAnswer) decode(d *decoder) {
	m.origin.decode(d)
	m.digests = varint.List(&d.Decoder, maxRanges*fanOut, d.digest)
}

func (m *idsRequest) encode(e *encoder) {
	encodeSpans(e, m.spans)
	e.Uint(m.above)
	e.Uint(m.after.LTime)
	e.Uint(m.after.Seq)
}

func (m *idsRequest) decode(d *decoder) {
	m.spans, m.above = decodeSpans(d), d.Uint()
	m.after = journal.LTimePos{LTime: d.Uint(), Seq: d.Uint()}
}

func (m *idsAnswer) encode(e *encoder) {
	m.origin.encode(e)
	e.Bool(m.more)
	e.Uint(uint64(len(m.ids)))
	for _, p := range m.ids {
		e.Uint(p.pos.LTime)
		e.Uint(p.pos.Seq)
		e.Text(p.id)
	}
}

func (m *idsAnswer) decode(d *decoder) {
	m.origin.decode(d)
	m.more = d.Bool()
	m.ids = varint.List(&d.Decoder, maxIDs, func() listedID {
		return listedID{journal.LTimePos{LTime: d.Uint(), Seq: d.Uint()}, d.Text(maxID)}
	})
}

func (m *eventsRequest) encode(e *encoder) {
	e.Uint(uint64(len(m.ids)))
	for _, id := range m.ids {
		e.Text(id)
	}
}

func (m *eventsRequest) decode(d *decoder) {
	m.ids = varint.List(&d.Decoder, maxIDs, func() string { return d.Text(maxID) })
}

func (m *eventsAnswer) encode(e *encoder) {
	m.origin.encode(e)
	e.Uint(m.done)
	e.Uint(uint64(len(m.events)))
	for _, v := range m.events {
		e.Uint(v.ltime)
		e.Text(v.name)
		e.Text(v.payload)
	}
}

func (m *eventsAnswer) decode(d *decoder) {
	m.origin.decode(d)
	m.done = d.Uint()
	m.events = varint.List(&d.Decoder, maxIDs, func() wireEvent {
		return wireEvent{d.Uint(), d.Text(maxText), d.Text(maxText)}
	})
}

func (m *recordRequest) encode(e *encoder) {
	e.Uint(m.above)
	for _, low := range m.lows {
		e.Uint(low)
	}
}

func (m *recordRequest) decode(d *decoder) {
	m.above = d.Uint()
	for i := range m.lows {
		m.lows[i] = d.Uint()
	}
}

func (m *recordAnswer) encode(e *encoder) {
	m.origin.encode(e)
	e.Uint(m.upTo)
	e.Bool(m.known)
	e.Uint(m.within[0])
	e.Uint(m.within[1])
	e.digest(m.digest)
	e.Uint(uint64(len(m.strays)))
	for _, id := range m.strays {
		e.Text(id)
	}
}

func (m *recordAnswer) decode(d *decoder) {
	m.origin.decode(d)
	m.upTo, m.known = d.Uint(), d.Bool()
	m.within = span{d.Uint(), d.Uint()}
	m.digest = d.digest()
	m.strays = varint.List(&d.Decoder, maxStrays, func() string { return d.Text(maxID) })
}
