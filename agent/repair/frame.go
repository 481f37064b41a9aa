package repair

import "agentctl/handler/varint"

// request and answer are the messages of message.go.
type request interface {
	kind() kind
	encode(*encoder)
	decode(*decoder)
}

type answer interface {
	encode(*encoder)
	decode(*decoder)
	from() origin
}

func (o origin) from() origin { return o }

func encodeRequest(m request) []byte {
	e := encoder{varint.Encoder{version, byte(m.kind())}}
	m.encode(&e)
	return e.Encoder
}

func encodeAnswer(m answer) []byte {
	e := encoder{varint.Encoder{version}}
	m.encode(&e)
	return e.Encoder
}

// open checks a message's version and takes it off.
func open(b []byte) (*decoder, error) {
	if len(b) == 0 {
		return nil, errMalformed
	}
	if b[0] != version {
		return nil, &versionError{b[0]}
	}
	return &decoder{varint.NewDecoder(b[1:])}, nil
}

func decodeRequest(b []byte) (request, error) {
	d, err := open(b)
	if err != nil {
		return nil, err
	}
	var m request
	switch k := kind(d.Byte()); k {
	case kindCompare:
		m = &compareRequest{}
	case kindDigests:
		m = &digestsRequest{}
	case kindIDs:
		m = &idsRequest{}
	case kindEvents:
		m = &eventsRequest{}
	case kindRecord:
		m = &recordRequest{}
	default:
		d.Fail("a request of kind %d", k)
		return nil, d.end()
	}
	m.decode(d)
	return m, d.end()
}

func decodeAnswer(b []byte, m answer) error {
	d, err := open(b)
	if err != nil {
		return err
	}
	m.decode(d)
	return d.end()
}

// split cuts a range into at most fanOut parts of equal width, but for the
// last. Both sides do so, and so the parts need not be told.
func split(s span) (parts []span) {
	width := (s[1] - s[0]) / fanOut // of a part, less 1
	for low := s[0]; ; {
		if s[1]-low <= width {
			return append(parts, span{low, s[1]})
		}
		parts = append(parts, span{low, low + width})
		low += width + 1
	}
}
