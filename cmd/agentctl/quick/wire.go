package quick

// appendString encodes a text of msgpack.
func appendString(b []byte, s string) []byte {
	switch n := len(s); {
	case n < 32:
		b = append(b, 0xa0|byte(n))
	case n < 1<<8:
		b = append(b, 0xd9, byte(n))
	case n < 1<<16:
		b = append(b, 0xda, byte(n>>8), byte(n))
	default:
		b = append(b, 0xdb, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return append(b, s...)
}

// appendBytes encodes bytes of msgpack.
func appendBytes(b []byte, s string) []byte {
	switch n := len(s); {
	case n < 1<<8:
		b = append(b, 0xc4, byte(n))
	case n < 1<<16:
		b = append(b, 0xc5, byte(n>>8), byte(n))
	default:
		b = append(b, 0xc6, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return append(b, s...)
}

func appendHeader(b []byte, command string, seq byte) []byte {
	b = appendString(append(b, 0x82), "Command")
	b = appendString(b, command)
	return append(appendString(b, "Seq"), seq)
}

// firstSeq is the sequence number of the first request, and seqStep how far the
// next is from it. They are those of package rpcclient.
const firstSeq, seqStep = 2, 2

// greeting is what is sent before the event: the handshake, and authentication
// if there is a key, appended to b. lastSeq is the sequence number of its last request.
func (e *event) greeting(b []byte) (_ []byte, lastSeq byte) {
	lastSeq = firstSeq
	b = appendHeader(b, "handshake", lastSeq)
	b = append(appendString(append(b, 0x81), "Version"), 1)
	if e.auth != "" {
		lastSeq += seqStep
		b = appendHeader(b, "auth", lastSeq)
		b = appendString(appendString(append(b, 0x81), "AuthKey"), e.auth)
	}
	return b, lastSeq
}

// request is the request to publish the event, appended to b.
func (e *event) request(b []byte, seq byte) []byte {
	b = appendHeader(b, "event", seq)
	b = appendString(append(b, 0x83), "Coalesce")
	b = append(b, 0xc2+boolByte(e.coalesce))
	b = appendString(appendString(b, "Name"), e.name)
	return appendBytes(appendString(b, "Payload"), e.payload)
}

func boolByte(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// plainAnswer is the size of the answers that isPlain knows. longestPlain is the most
// that an answer may have of which readPlain knows an ID.
const (
	plainAnswer  = len("\x82\xa5Error\xa0\xa3Seq_")
	longestPlain = 512
)

// isPlain reports whether b is the answer of success to a request, and nothing
// else: {"Error": "", "Seq": seq} in either order, each in the shortest form.
// That is what all agents send.
func isPlain(b []byte, seq byte) bool {
	const well = "\xa5Error\xa0"
	number := "\xa3Seq" + string([]byte{seq})
	return string(b) == "\x82"+well+number || string(b) == "\x82"+number+well
}

// readPlain reports whether b is an answer of success to an event: the plain one, or
// that of an agent of ours, which also has the event's ID, and may have the address of
// its operations endpoint. An answer with anything else is not plain.
func readPlain(b []byte, seq byte) (id string, ok bool) {
	if isPlain(b, seq) {
		return "", true
	}
	const well = "\xa5Error\xa0"
	s := string(b)
	fields := 3
	if hasPrefix(s, "\x84"+well+"\xa8HTTPAddr") {
		fields = 4
	} else if !hasPrefix(s, "\x83"+well+"\xa2ID") {
		return "", false
	}
	s = s[1+len(well):]
	if fields == 4 {
		if _, s, ok = cutText(s[len("\xa8HTTPAddr"):]); !ok || !hasPrefix(s, "\xa2ID") {
			return "", false
		}
	}
	if id, s, ok = cutText(s[len("\xa2ID"):]); !ok || !isID(id) || s != "\xa3Seq"+string([]byte{seq}) {
		return "", false
	}
	return id, true
}

// cutText takes a text of msgpack, of up to 255 bytes, from the beginning of s.
func cutText(s string) (text, rest string, ok bool) {
	size := 0
	switch {
	case len(s) > 0 && s[0] >= 0xa0 && s[0] < 0xc0:
		size, s = int(s[0]&0x1f), s[1:]
	case len(s) > 1 && s[0] == 0xd9:
		size, s = int(s[1]), s[2:]
	default:
		return "", "", false
	}
	if len(s) < size {
		return "", "", false
	}
	return s[:size], s[size:], true
}

// isID reports whether a text may be the ID of a user event, LTIME-HASH, which is safe
// to print.
func isID(s string) bool {
	for i := range len(s) {
		if c := s[i]; c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return s != ""
}
