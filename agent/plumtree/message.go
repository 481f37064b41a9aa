package plumtree

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"agentctl/handler/varint"
)

const (
	// MaxName is how many bytes the name of a publisher may have.
	MaxName = 256
	// MaxPayload is how many bytes the payload of an event may have: the largest
	// event that an agent takes, and what serf's message and its reference add.
	MaxPayload = 1<<20 + 4<<10
	// maxIDs is how many events a message may name.
	maxIDs = 256
	// maxAge is how old an event may be, in units of ageUnit: 20 seconds. One byte holds
	// it.
	maxAge  = 80
	ageUnit = 250 * time.Millisecond
	// maxLanding is the highest number of a landing: two bytes hold it.
	maxLanding = 1<<14 - 1
)

// kind says what a message is.
type kind byte

const (
	kindEvent  kind = 1 // an event
	kindDigest kind = 2 // the sender has these events
	kindPull   kind = 3 // send these events, and what their publishers publish from now on
	kindGraft  kind = 4 // send what the publishers of these events publish from now on
	kindPrune  kind = 5 // do not send what the publishers of these events publish, only digests
	kindFetch  kind = 6 // send these events
)

// ID names an event: the first 8 bytes of the SHA-256 over its body. So an event that
// differs from another in anything has another ID, and nobody can pass one off as the
// other.
type ID uint64

// message is a message as it was read. Its slices point into the bytes that came.
type message struct {
	kind    kind
	direct  bool   // of an event: the publisher sends it to every member itself
	age     uint64 // of an event: for how long nodes have kept it, in units of ageUnit
	landing uint64 // of an event and a digest: see Tree.nearer
	body    []byte // of an event: its fields, as they are hashed and passed on
	name    []byte
	inc     uint64
	seq     uint64
	payload []byte
	ids     []ID // of all others
}

var errForm = errors.New("a field is longer than it needs to be")

// read takes a message apart, and uses the memory of ids again. A message that is read
// is the only form of what it says.
func (m *message) read(b []byte) error {
	*m = message{ids: m.ids[:0]}
	d := varint.NewDecoder(b)
	m.kind = kind(d.Byte())
	size := 1
	switch m.kind {
	case kindEvent:
		m.direct = d.Bool()
		m.age = uint64(d.UpTo(maxAge))
		m.landing = uint64(d.UpTo(maxLanding))
		m.name = d.Bytes(MaxName)
		m.inc = d.Uint()
		m.seq = d.Uint()
		m.payload = d.Rest()
		if len(m.payload) > MaxPayload {
			d.Fail("a payload of %d bytes where %d are allowed", len(m.payload), MaxPayload)
		}
		if m.seq == 0 {
			d.Fail("an event has no number")
		}
		body := length(uint64(len(m.name))) + len(m.name) + length(m.inc) + length(m.seq) + len(m.payload)
		size += 2 + length(m.landing) + body
		m.body = b[max(0, len(b)-body):]
	case kindDigest, kindPull, kindGraft, kindPrune, kindFetch:
		if m.kind == kindDigest {
			m.landing = uint64(d.UpTo(maxLanding))
			size += length(m.landing)
		}
		n := d.Count(maxIDs)
		if n == 0 {
			d.Fail("a message of kind %d names no event", m.kind)
		}
		size += length(uint64(n)) + 8*n
		for ; n > 0 && d.Err() == nil; n-- {
			m.ids = append(m.ids, ID(d.Fixed()))
		}
	default:
		d.Fail("there is no message of kind %d", m.kind)
	}
	if err := d.End(); err != nil {
		return fmt.Errorf("a message of %d bytes: %w", len(b), err)
	}
	if size != len(b) {
		return fmt.Errorf("a message of %d bytes: %w", len(b), errForm)
	}
	return nil
}

// length is how many bytes a number takes.
func length(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

// id is the ID of the event that the message is.
func (m *message) id() ID { return idOf(m.body) }

func idOf(body []byte) ID {
	sum := sha256.Sum256(body)
	return ID(binary.BigEndian.Uint64(sum[:]))
}

// appendBody appends the fields of an event that its ID stands for.
func appendBody(to []byte, name string, inc, seq uint64, payload []byte) []byte {
	e := varint.Encoder(to)
	e.Text(name)
	e.Uint(inc)
	e.Uint(seq)
	e.Raw(payload)
	return e
}

// eventHead is what precedes the body of an event.
func eventHead(to []byte, direct bool, age, landing uint64) []byte {
	e := varint.Encoder(append(to, byte(kindEvent)))
	e.Bool(direct)
	e.Uint(age)
	e.Uint(landing)
	return e
}

// list is a message that names events. landing counts for digests alone.
func list(k kind, landing uint64, ids []ID) []byte {
	e := varint.Encoder(make([]byte, 0, 5+8*len(ids)))
	e = append(e, byte(k))
	if k == kindDigest {
		e.Uint(landing)
	}
	e.Uint(uint64(len(ids)))
	for _, id := range ids {
		e.Fixed(uint64(id))
	}
	return e
}

// IsEvent tells whether a message is an event, and no digest or request.
func IsEvent(message []byte) bool { return len(message) > 0 && kind(message[0]) == kindEvent }

// Digest is the message of a node that says that it has these events, 256 at most. It is
// for simulations of nodes that lie.
func Digest(ids []ID) []byte { return list(kindDigest, 0, ids) }
