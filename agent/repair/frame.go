package repair

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
	e := encoder{version, byte(m.kind())}
	m.encode(&e)
	return e
}

func encodeAnswer(m answer) []byte {
	e := encoder{version}
	m.encode(&e)
	return e
}

// open checks a message's version and takes it off.
func open(b []byte) (*decoder, error) {
	if len(b) == 0 {
		return nil, errMalformed
	}
	if b[0] != version {
		return nil, &VersionError{b[0]}
	}
	return &decoder{b: b[1:]}, nil
}

func decodeRequest(b []byte) (request, error) {
	d, err := open(b)
	if err != nil {
		return nil, err
	}
	var m request
	switch k := d.take(1); {
	case k == nil:
		return nil, d.err
	case kind(k[0]) == kindCompare:
		m = &compareRequest{}
	case kind(k[0]) == kindDigests:
		m = &digestsRequest{}
	case kind(k[0]) == kindIDs:
		m = &idsRequest{}
	case kind(k[0]) == kindEvents:
		m = &eventsRequest{}
	default:
		d.fail("a request of kind %d", k[0])
		return nil, d.err
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
