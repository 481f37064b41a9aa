package quick

import (
	"errors"
	"io"
)

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

// requests is all that is sent: handshake, authentication where there is a key,
// and the event. How many answers come is answers.
func (e *event) requests() (b []byte, answers byte) {
	answers = 1
	b = appendHeader(b, "handshake", answers)
	b = append(appendString(append(b, 0x81), "Version"), 1)
	if e.auth != "" {
		answers++
		b = appendHeader(b, "auth", answers)
		b = appendString(appendString(append(b, 0x81), "AuthKey"), e.auth)
	}
	answers++
	b = appendHeader(b, "event", answers)
	b = appendString(append(b, 0x83), "Coalesce")
	b = append(b, 0xc2+boolByte(e.coalesce))
	b = appendString(appendString(b, "Name"), e.name)
	return appendBytes(appendString(b, "Payload"), e.payload), answers
}

func boolByte(v bool) byte {
	if v {
		return 1
	}
	return 0
}

var errAnswer = errors.New("not the answer of an agent")

// readAnswer reads a response header, {"Error": text, "Seq": small number} in
// either order, and tells whether it is one without an error. What an error says
// the ordinary command will find out.
func readAnswer(r io.Reader, seq byte) (ok bool, err error) {
	const failure = "\xa5Error" // and a text
	const success = failure + "\xa0"
	number := "\xa3Seq" + string([]byte{seq})
	var buf [len("\x82") + len(success) + len("\xa3Seq_")]byte // no answer is shorter
	if _, err := io.ReadFull(r, buf[:]); err != nil {
		return false, err
	}
	switch got := string(buf[:]); {
	case got == "\x82"+success+number, got == "\x82"+number+success:
		return true, nil
	case hasPrefix(got, "\x82"+success):
		return false, errAnswer // to another request
	case hasPrefix(got, "\x82"+failure), hasPrefix(got, "\x82"+number+failure):
		return false, nil
	}
	return false, errAnswer
}
