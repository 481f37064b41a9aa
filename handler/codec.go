package handler

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"time"
)

// Every value in a journal's file is sealed: a version byte, the fields, and
// a CRC-32C over key, version and fields, so that a value in another's place
// is as wrong as one with a bit flipped. Numbers are varints; a string is its
// length and its bytes. Version 1 had no reason of a gap, 2 no last event of a
// target, and 3 did not count the values of targets; all are read as well.
const codecVersion = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	errChecksum = errors.New("its checksum is wrong")
	errEncoding = errors.New("its fields make no sense")
)

// versionError is a value that a later version of this program wrote.
type versionError struct{ version byte }

func (e *versionError) Error() string {
	return fmt.Sprintf("it has version %d, and this program reads versions up to %d; use the newer program that wrote it", e.version, codecVersion)
}

// encoder appends fields to a value.
type encoder []byte

func newEncoder(size int) encoder { return append(make(encoder, 0, size), codecVersion) }

func (b *encoder) uint(v uint64) { *b = binary.AppendUvarint(*b, v) }

func (b *encoder) bytes(v []byte) {
	b.uint(uint64(len(v)))
	*b = append(*b, v...)
}

func (b *encoder) string(v string) {
	b.uint(uint64(len(v)))
	*b = append(*b, v...)
}

// time writes seconds and nanoseconds: a Time that is zero stays so.
func (b *encoder) time(t time.Time) {
	*b = binary.AppendVarint(*b, t.Unix())
	b.uint(uint64(t.Nanosecond()))
}

func (b encoder) seal(key []byte) []byte {
	return binary.BigEndian.AppendUint32(b, checksum(key, b))
}

func checksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

// decoder takes the fields of a value off again. The first that is not there
// makes it bad, and all further ones zero.
type decoder struct {
	b       []byte
	version byte
	bad     bool
}

// unseal checks a value; what the decoder hands out points into it.
func unseal(key, value []byte) (*decoder, error) {
	n := len(value) - 4
	if n < 1 {
		return nil, errEncoding
	}
	if checksum(key, value[:n]) != binary.BigEndian.Uint32(value[n:]) {
		return nil, errChecksum
	}
	if value[0] == 0 || value[0] > codecVersion {
		return nil, &versionError{value[0]}
	}
	return &decoder{b: value[1:n], version: value[0]}, nil
}

func (d *decoder) take(n int) {
	if n <= 0 {
		d.b, d.bad = nil, true
		return
	}
	d.b = d.b[n:]
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	d.take(n)
	return v
}

func (d *decoder) bytes() []byte {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.b, d.bad = nil, true
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) string() string { return string(d.bytes()) }

func (d *decoder) time() time.Time {
	sec, n := binary.Varint(d.b)
	d.take(n)
	nsec := d.uint()
	if nsec >= 1e9 {
		d.bad = true
	}
	t := time.Unix(sec, int64(nsec))
	if d.bad || t.IsZero() {
		return time.Time{}
	}
	return t
}

// count reads how many elements follow, of at least one byte each.
func (d *decoder) count() int {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.b, d.bad = nil, true
		return 0
	}
	return int(n)
}

// end tells whether all was there and nothing is left over.
func (d *decoder) end() error {
	if d.bad || len(d.b) > 0 {
		return errEncoding
	}
	return nil
}

// typeCodes are the types of events that the file has a number for, from 1.
// Their order is part of the format.
var typeCodes = []Type{MemberJoin, MemberLeave, MemberFailed, MemberUpdate, MemberReap, User, Query}

func encodeEvent(key []byte, e *Event) []byte {
	b := newEncoder(len(e.ID) + len(e.Name) + len(e.Payload) + 48)
	// Serf's types are a number, any other is 0 and its name.
	i := slices.Index(typeCodes, e.Type) + 1
	b.uint(uint64(i))
	if i == 0 {
		b.string(string(e.Type))
	}
	b.time(e.Time)
	b.uint(e.LTime)
	b.string(e.ID)
	b.string(e.Name)
	b.bytes(e.Payload)
	return b.seal(key)
}

// decodeEvent makes an event that holds nothing of value.
func decodeEvent(key, value []byte) (Event, error) {
	d, err := unseal(key, value)
	if err != nil {
		return Event{}, err
	}
	var e Event
	switch i := d.uint(); {
	case i == 0:
		e.Type = Type(d.string())
	case i <= uint64(len(typeCodes)):
		e.Type = typeCodes[i-1]
	default:
		return Event{}, errEncoding
	}
	e.Time = d.time()
	e.LTime = d.uint()
	e.ID, e.Name = d.string(), d.string()
	if p := d.bytes(); len(p) > 0 {
		e.Payload = slices.Clone(p)
	}
	return e, d.end()
}
