package repair

import "agentctl/handler"

func (m *compareRequest) kind() kind { return kindCompare }
func (m *digestsRequest) kind() kind { return kindDigests }
func (m *idsRequest) kind() kind     { return kindIDs }
func (m *eventsRequest) kind() kind  { return kindEvents }

func (m *compareRequest) encode(e *encoder) {
	e.uvarint(m.from)
	e.uvarint(m.age)
	e.fixed(m.life)
	e.uvarint(m.seq)
	e.flag(m.marks)
	e.uvarint(uint64(len(m.known)))
	for _, d := range m.known {
		e.digest(d)
	}
}

func (m *compareRequest) decode(d *decoder) {
	m.from, m.age, m.life, m.seq, m.marks = d.uvarint(), d.uvarint(), d.fixed(), d.uvarint(), d.flag()
	m.known = list(d, 2, d.digest)
}

func (o *origin) encode(e *encoder) {
	e.fixed(o.life)
	e.uvarint(o.trimmed)
}

func (o *origin) decode(d *decoder) { o.life, o.trimmed = d.fixed(), d.uvarint() }

func (m *compareAnswer) encode(e *encoder) {
	m.origin.encode(e)
	e.uvarint(m.head)
	e.uvarint(m.newest)
	e.uvarint(m.mark)
	e.flag(m.same)
	e.digest(m.digest)
	e.flag(m.late)
	e.uvarint(m.age)
	e.uvarint(uint64(len(m.marks)))
	for _, k := range m.marks {
		e.fixed(k.life)
		e.uvarint(k.seq)
	}
}

func (m *compareAnswer) decode(d *decoder) {
	m.origin.decode(d)
	m.head, m.newest, m.mark, m.same = d.uvarint(), d.uvarint(), d.uvarint(), d.flag()
	m.digest, m.late, m.age = d.digest(), d.flag(), d.uvarint()
	m.marks = list(d, maxMarks, func() mark { return mark{d.fixed(), d.uvarint()} })
}

func encodeSpans(e *encoder, spans []span) {
	e.uvarint(uint64(len(spans)))
	for _, s := range spans {
		e.uvarint(s[0])
		e.uvarint(s[1] - s[0])
	}
}

func decodeSpans(d *decoder) []span {
	return list(d, maxRanges, func() span {
		low, width := d.uvarint(), d.uvarint()
		if low+width < low {
			d.fail("a range goes beyond the highest number")
		}
		return span{low, low + width}
	})
}

func (m *digestsRequest) encode(e *encoder) { encodeSpans(e, m.spans) }
func (m *digestsRequest) decode(d *decoder) { m.spans = decodeSpans(d) }

func (m *digestsAnswer) encode(e *encoder) {
	m.origin.encode(e)
	e.uvarint(uint64(len(m.digests)))
	for _, g := range m.digests {
		e.digest(g)
	}
}

func (m *digestsAnswer) decode(d *decoder) {
	m.origin.decode(d)
	m.digests = list(d, maxRanges*fanOut, d.digest)
}

func (m *idsRequest) encode(e *encoder) {
	encodeSpans(e, m.spans)
	e.uvarint(m.above)
	e.uvarint(m.after.LTime)
	e.uvarint(m.after.Seq)
}

func (m *idsRequest) decode(d *decoder) {
	m.spans, m.above = decodeSpans(d), d.uvarint()
	m.after = handler.LTimePos{LTime: d.uvarint(), Seq: d.uvarint()}
}

func (m *idsAnswer) encode(e *encoder) {
	m.origin.encode(e)
	e.flag(m.more)
	e.uvarint(uint64(len(m.ids)))
	for _, p := range m.ids {
		e.uvarint(p.pos.LTime)
		e.uvarint(p.pos.Seq)
		e.text(p.id)
	}
}

func (m *idsAnswer) decode(d *decoder) {
	m.origin.decode(d)
	m.more = d.flag()
	m.ids = list(d, maxIDs, func() place {
		return place{handler.LTimePos{LTime: d.uvarint(), Seq: d.uvarint()}, d.text(maxID)}
	})
}

func (m *eventsRequest) encode(e *encoder) {
	e.uvarint(uint64(len(m.ids)))
	for _, id := range m.ids {
		e.text(id)
	}
}

func (m *eventsRequest) decode(d *decoder) {
	m.ids = list(d, maxIDs, func() string { return d.text(maxID) })
}

func (m *eventsAnswer) encode(e *encoder) {
	m.origin.encode(e)
	e.uvarint(m.done)
	e.uvarint(uint64(len(m.events)))
	for _, v := range m.events {
		e.uvarint(v.ltime)
		e.text(v.name)
		e.text(v.payload)
	}
}

func (m *eventsAnswer) decode(d *decoder) {
	m.origin.decode(d)
	m.done = d.uvarint()
	m.events = list(d, maxIDs, func() wireEvent {
		return wireEvent{d.uvarint(), d.text(maxText), d.text(maxText)}
	})
}
