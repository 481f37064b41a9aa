package gossip

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/hashicorp/serf/serf"
)

// Serf's codec works by reflection, and takes ten times as long as these functions do for
// the one message that comes with each event. A fuzz test holds them to it.

// The type bytes of msgpack that a user event has.
const (
	fixRaw      = 0xa0
	fixRawLimit = 32
	typeNil     = "\xc0"
	typeFalse   = 0xc2
	typeTrue    = 0xc3
	typeUint8   = 0xcc
	typeUint16  = 0xcd
	typeUint32  = 0xce
	typeUint64  = 0xcf
	typeRaw8    = 0xd9 // never written by serf
	typeRaw16   = 0xda
	typeRaw32   = 0xdb
)

// What serf writes before the values, in its order: each key with its length.
const (
	userHead   = "\x03\x84" // the type, and a map of four
	keyCC      = "\xa2CC"
	keyLTime   = "\xa5LTime"
	keyName    = "\xa4Name"
	keyPayload = "\xa7Payload"
)

// Encode is the message as serf would send it. It fails for a name or a payload of 4 GiB.
func (m *Message) Encode() ([]byte, error) {
	if len(m.Name) > math.MaxUint32 || len(m.Payload) > math.MaxUint32 {
		return nil, errors.New("an event of 4 GiB has no encoding")
	}
	const overhead = 40 // of the encoding, at most
	b := make([]byte, 0, overhead+len(m.Name)+len(m.Payload))
	b = append(append(b, userHead...), keyCC...)
	if m.CC {
		b = append(b, typeTrue)
	} else {
		b = append(b, typeFalse)
	}
	b = appendUint(append(b, keyLTime...), uint64(m.LTime))
	b = append(b, keyName...)
	b = append(appendLength(b, len(m.Name)), m.Name...)
	b = append(b, keyPayload...)
	if m.Payload == nil {
		return append(b, typeNil...), nil
	}
	return append(appendLength(b, len(m.Payload)), m.Payload...), nil
}

func appendUint(b []byte, v uint64) []byte {
	switch {
	case v <= math.MaxInt8:
		return append(b, byte(v))
	case v <= math.MaxUint8:
		return append(b, typeUint8, byte(v))
	case v <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, typeUint16), uint16(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, typeUint32), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(b, typeUint64), v)
}

func appendLength(b []byte, n int) []byte {
	switch {
	case n < fixRawLimit:
		return append(b, fixRaw|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, typeRaw16), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(b, typeRaw32), uint32(n))
}

// read reads a message as serf writes it. The payload is that part of raw itself. It
// returns false for anything else, of which it knows nothing: the codec may yet read it.
func (m *Message) read(raw []byte) bool {
	r := rawReader{raw}
	if !r.expect(userHead) || !r.expect(keyCC) {
		return false
	}
	cc := r.byte()
	if cc != typeFalse && cc != typeTrue || !r.expect(keyLTime) {
		return false
	}
	ltime, ok := r.uint()
	if !ok || !r.expect(keyName) {
		return false
	}
	name, ok := r.text()
	if !ok || !r.expect(keyPayload) {
		return false
	}
	var payload []byte
	if !r.expect(typeNil) {
		if payload, ok = r.text(); !ok {
			return false
		}
	}
	*m = Message{LTime: serf.LamportTime(ltime), Name: string(name), Payload: payload, CC: cc == typeTrue}
	return true
}

// rawReader is what has not been read of a message.
type rawReader struct{ rest []byte }

// expect reads what must come next, and tells whether it came.
func (r *rawReader) expect(s string) bool {
	if len(r.rest) < len(s) || string(r.rest[:len(s)]) != s {
		return false
	}
	r.rest = r.rest[len(s):]
	return true
}

// byte reads one byte. It is 0 at the end.
func (r *rawReader) byte() (b byte) {
	if len(r.rest) > 0 {
		b, r.rest = r.rest[0], r.rest[1:]
	}
	return b
}

func (r *rawReader) uint() (v uint64, ok bool) {
	if len(r.rest) == 0 {
		return 0, false
	}
	switch t := r.byte(); {
	case t <= math.MaxInt8:
		return uint64(t), true
	case t >= typeUint8 && t <= typeUint64:
		return r.number(1 << (t - typeUint8))
	}
	return 0, false
}

// number reads a number of n bytes.
func (r *rawReader) number(n int) (v uint64, ok bool) {
	if len(r.rest) < n {
		return 0, false
	}
	for range n {
		v = v<<8 | uint64(r.byte())
	}
	return v, true
}

func (r *rawReader) text() (b []byte, ok bool) {
	var n uint64
	switch t := r.byte(); {
	case t >= fixRaw && t < fixRaw+fixRawLimit:
		n, ok = uint64(t-fixRaw), true
	case t >= typeRaw8 && t <= typeRaw32:
		n, ok = r.number(1 << (t - typeRaw8))
	}
	if !ok || n > uint64(len(r.rest)) {
		return nil, false
	}
	b, r.rest = r.rest[:n:n], r.rest[n:]
	return b, true
}
