package varint

import (
	"encoding/binary"
	"time"
)

// AppendBytes appends a length and that many bytes.
func AppendBytes[T ~string | ~[]byte](to []byte, v T) []byte {
	return append(binary.AppendUvarint(to, uint64(len(v))), v...)
}

// Encoder is a message to which fields are appended.
type Encoder []byte

// Uint appends a number.
func (e *Encoder) Uint(v uint64) { *e = binary.AppendUvarint(*e, v) }

// int appends a number that may be negative.
func (e *Encoder) int(v int64) { *e = binary.AppendVarint(*e, v) }

// Fixed appends a number in eight bytes, for those that are mostly large.
func (e *Encoder) Fixed(v uint64) { *e = binary.BigEndian.AppendUint64(*e, v) }

// Bool appends a boolean.
func (e *Encoder) Bool(v bool) {
	b := byte(0)
	if v {
		b = 1
	}
	*e = append(*e, b)
}

// Bytes appends a length and that many bytes.
func (e *Encoder) Bytes(v []byte) { *e = AppendBytes(*e, v) }

// Text appends a length and that many bytes.
func (e *Encoder) Text(v string) { *e = AppendBytes(*e, v) }

// Raw appends bytes whose number the reader knows.
func (e *Encoder) Raw(v []byte) { *e = append(*e, v...) }

// Time appends a time. It keeps the nanosecond, and whether the time is zero,
// but no location.
func (e *Encoder) Time(t time.Time) {
	e.int(t.Unix())
	e.Uint(uint64(t.Nanosecond()))
}
