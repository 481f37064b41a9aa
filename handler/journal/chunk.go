package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"

	"github.com/klauspost/compress/s2"

	"agentctl/handler"
	"agentctl/handler/varint"
)

// chunk has some events of the history, in memory without pointers. So the garbage
// collector does not look into it. It is one piece of memory, since each small one that
// outlives a burst keeps a whole page of what the burst needed. It has, one behind the
// other:
//
//   - for each event four bytes that tell where its key begins, and four for the end of
//     the last key,
//   - the keys: by what an event is found, and never asked for without a need,
//   - all names and payloads, compressed as one. The events of a cluster are alike.
type chunk []byte

// startSize is how many bytes of a chunk tell where a key begins, and of its names and
// payloads where those of an event begin.
const startSize = 4

// opened are the names and payloads of a chunk, as they are before they are compressed: for
// each event four bytes that tell where its own begin, and these.
type opened []byte

// packer has space that pack uses again.
type packer struct{ keys, bodies varint.Encoder }

// spareSpace is how many bytes of it are kept.
const spareSpace = 64 << 10

// pack makes a chunk of the first entries of the tail. Of those above maxPacked it has no
// name and payload.
func (h *history) pack() chunk {
	keys := append(h.space.keys[:0], make([]byte, startSize*(h.size+1))...)
	bodies := append(h.space.bodies[:0], make([]byte, startSize*h.size)...)
	for i := range h.size {
		setStart(keys, i, len(keys))
		setStart(bodies, i, len(bodies))
		e := h.tail.At(i)
		appendPackedKey(&keys, &e.Event)
		if e.size() <= maxPacked {
			appendBody(&bodies, &e.Event)
		} else {
			appendBody(&bodies, &handler.Event{})
		}
	}
	setStart(keys, h.size, len(keys))
	c := slices.Clone(append(keys, s2.Encode(nil, bodies)...))
	if h.space = (packer{keys, bodies}); cap(bodies) > spareSpace {
		h.space = packer{}
	}
	return chunk(c)
}

func setStart(b []byte, i, at int) { binary.LittleEndian.PutUint32(b[startSize*i:], uint32(at)) }

func start(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[startSize*i:]) }

// open returns the names and payloads of a chunk of some events.
func (c chunk) open(size int) opened {
	o, err := s2.Decode(nil, c[start(c, size):])
	if err != nil {
		panic("journal: a chunk in memory cannot be read: " + err.Error()) // the memory is broken
	}
	return o
}

// add sets the name and the payload of an event to what it has of event i of the chunk. They
// are in the opened chunk itself.
func (o opened) add(i int, e *handler.Event) {
	d := varint.NewDecoder(o[start(o, i):])
	decodeBody(&d, e)
}

// key returns an event without name and payload.
func (c chunk) key(i int) handler.Event {
	d := varint.NewDecoder(c[start(c, i):])
	sum := d.Take(int(d.Byte()))
	e := decodeKey(&d)
	if len(sum) > 0 {
		e.ID = shortID(e.LTime, sum)
	}
	return e
}

// shortID is the ID of a user event, see handler.UserID.
func shortID(ltime uint64, sum []byte) string {
	var buf [40]byte
	return string(hex.AppendEncode(append(strconv.AppendUint(buf[:0], ltime, 10), '-'), sum))
}

// appendPackedKey appends the key of an event. The usual ID is kept as the 8 bytes that it
// does not share with the Lamport time.
func appendPackedKey(b *varint.Encoder, e *handler.Event) {
	short := *e
	var sum [8]byte
	if i := len(e.ID) - hex.EncodedLen(len(sum)); i > 0 {
		if n, err := hex.Decode(sum[:], []byte(e.ID[i:])); err == nil && n == len(sum) && shortID(e.LTime, sum[:]) == e.ID {
			short.ID = ""
			*b = append(append(*b, byte(len(sum))), sum[:]...)
		}
	}
	if short.ID != "" || e.ID == "" {
		*b = append(*b, 0)
	}
	appendKey(b, &short)
}

// typeCodes are the types of events that have a number, from 1. Their order is part of
// the format of package disk.
var typeCodes = []handler.Type{handler.MemberJoin, handler.MemberLeave, handler.MemberFailed, handler.MemberUpdate, handler.MemberReap, handler.User, handler.Query}

// AppendEvent appends the fields of an event, as they are in the file.
func AppendEvent(b *varint.Encoder, e *handler.Event) {
	appendKey(b, e)
	appendBody(b, e)
}

// appendKey appends the first fields, up to the ID.
func appendKey(b *varint.Encoder, e *handler.Event) {
	// A type without a number is written as 0 and its name.
	i := slices.Index(typeCodes, e.Type) + 1
	b.Uint(uint64(i))
	if i == 0 {
		b.Text(string(e.Type))
	}
	b.Time(e.Time)
	b.Uint(e.LTime)
	b.Text(e.ID)
}

// appendBody appends the other fields.
func appendBody(b *varint.Encoder, e *handler.Event) {
	b.Text(e.Name)
	b.Bytes(e.Payload)
}

// DecodeEvent takes the fields of AppendEvent. The event shares no memory with them.
// The decoder has the error, if there is one.
func DecodeEvent(d *varint.Decoder) handler.Event {
	e := decodeKey(d)
	decodeBody(d, &e)
	e.Payload = bytes.Clone(e.Payload)
	return e
}

// decodeKey takes the fields of appendKey.
func decodeKey(d *varint.Decoder) (e handler.Event) {
	switch i := d.Uint(); {
	case i == 0:
		e.Type = handler.Type(d.Text(varint.NoLimit))
	case i <= uint64(len(typeCodes)):
		e.Type = typeCodes[i-1]
	default:
		d.Fail("a type of event has the number %d", i)
		return e
	}
	e.Time = d.Time()
	e.LTime = d.Uint()
	e.ID = d.Text(varint.NoLimit)
	return e
}

// decodeBody takes the fields of appendBody. The payload points into them.
func decodeBody(d *varint.Decoder, e *handler.Event) {
	e.Name = d.Text(varint.NoLimit)
	if p := d.Bytes(varint.NoLimit); len(p) > 0 {
		e.Payload = p
	}
}
