package varint

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// NoLimit is for fields that only the message's own length limits.
const NoLimit = math.MaxInt

// Decoder takes the fields of a message off again, in order.
type Decoder struct {
	b   []byte // what is left; nil after a failure
	err error
}

// NewDecoder reads b, and does not change it.
func NewDecoder(b []byte) Decoder { return Decoder{b: b} }

// Fail notes that a field makes no sense to the caller. Only the first failure
// counts.
func (d *Decoder) Fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
	d.b = nil
}

// Err is the first failure, or nil.
func (d *Decoder) Err() error { return d.err }

// End is like Err, and fails too if anything is left.
func (d *Decoder) End() error {
	if len(d.b) > 0 {
		d.Fail("%d bytes too many", len(d.b))
	}
	return d.err
}

// Rest takes all that is left. It points into the message.
func (d *Decoder) Rest() []byte { return d.Take(len(d.b)) }

// Take takes n bytes, or nil. They point into the message.
func (d *Decoder) Take(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.Fail("a field is cut off")
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

// Byte takes one byte.
func (d *Decoder) Byte() byte {
	if v := d.Take(1); v != nil {
		return v[0]
	}
	return 0
}

// skip takes a varint off that encoding/binary has read; n is what it returned.
func (d *Decoder) skip(n int) bool {
	if n <= 0 {
		d.Fail("a number is cut off or too large")
		return false
	}
	d.b = d.b[n:]
	return true
}

// Uint takes a number.
func (d *Decoder) Uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if !d.skip(n) {
		return 0
	}
	return v
}

// int takes a number that may be negative.
func (d *Decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if !d.skip(n) {
		return 0
	}
	return v
}

// UpTo takes a number of at most limit.
func (d *Decoder) UpTo(limit int) int { return d.upTo(limit, "a number") }

func (d *Decoder) upTo(limit int, what string) int {
	v := d.Uint()
	if v > uint64(max(limit, 0)) {
		d.Fail("%s of %d where %d are allowed", what, v, limit)
		return 0
	}
	return int(v)
}

// Fixed takes a number of eight bytes.
func (d *Decoder) Fixed() uint64 {
	if v := d.Take(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

// Bool takes a boolean.
func (d *Decoder) Bool() bool {
	v := d.Byte()
	if v > 1 {
		d.Fail("a boolean is %d", v)
	}
	return v == 1
}

// Bytes takes a field of at most limit bytes. It points into the message.
func (d *Decoder) Bytes(limit int) []byte { return d.Take(d.upTo(limit, "a field")) }

// Text takes a field of at most limit bytes.
func (d *Decoder) Text(limit int) string { return string(d.Bytes(limit)) }

// Count takes the length of a list of at most limit elements, each of which has
// a byte or more.
func (d *Decoder) Count(limit int) int {
	n := d.upTo(limit, "a list")
	if n > len(d.b) {
		d.Fail("a list is cut off")
		return 0
	}
	return n
}

// List takes a list of at most limit elements, each of which has a byte or more.
// It calls read for each until one fails.
func List[T any](d *Decoder, limit int, read func() T) (all []T) {
	for n := d.Count(limit); n > 0 && d.err == nil; n-- {
		all = append(all, read())
	}
	return all
}

// Time takes a time, which is local or zero.
func (d *Decoder) Time() time.Time {
	sec, nsec := d.int(), d.Uint()
	if nsec >= 1e9 {
		d.Fail("a time has %d nanoseconds", nsec)
	}
	t := time.Unix(sec, int64(nsec))
	if d.err != nil || t.IsZero() {
		return time.Time{}
	}
	return t
}
