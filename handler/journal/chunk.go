package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"

	"agentctl/handler"
	"agentctl/handler/varint"
)

// chunk has some events of the history, one behind the other, in memory without
// pointers. So the garbage collector does not look into it. Four bytes for each event come
// first: where it begins. It is one piece of memory, since each small one that outlives a
// burst keeps a whole page of what the burst needed.
type chunk []byte

// startSize is how many bytes of a chunk tell where an event begins.
const startSize = 4

// pack makes a chunk of the first entries of the tail. Of those above maxPacked it has no
// name and payload.
func (h *history) pack() chunk {
	h.space = append(h.space[:0], make([]byte, startSize*h.size)...)
	for i := range h.size {
		binary.LittleEndian.PutUint32(h.space[startSize*i:], uint32(len(h.space)))
		appendPacked(&h.space, h.tail.At(i))
	}
	return chunk(slices.Clone(h.space))
}

// event returns an event, which shares no memory with the chunk.
func (c chunk) event(i int) handler.Event { return c.unpack(i, DecodeEvent) }

// view returns an event whose payload is that of the chunk.
func (c chunk) view(i int) handler.Event { return c.unpack(i, decodeView) }

// key returns an event without name and payload.
func (c chunk) key(i int) handler.Event { return c.unpack(i, decodeKey) }

func (c chunk) unpack(i int, decode func(*varint.Decoder) handler.Event) handler.Event {
	d := varint.NewDecoder(c[binary.LittleEndian.Uint32(c[startSize*i:]):])
	sum := d.Take(int(d.Byte()))
	e := decode(&d)
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

// appendPacked appends an event. The usual ID is kept as the 8 bytes that it does not
// share with the Lamport time.
func appendPacked(b *varint.Encoder, entry *Entry) {
	e := &entry.Event
	short := *e
	if entry.size() > maxPacked {
		short.Name, short.Payload = "", nil
	}
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
	AppendEvent(b, &short)
}

// typeCodes are the types of events that have a number, from 1. Their order is part of
// the format of package disk.
var typeCodes = []handler.Type{handler.MemberJoin, handler.MemberLeave, handler.MemberFailed, handler.MemberUpdate, handler.MemberReap, handler.User, handler.Query}

// AppendEvent appends the fields of an event, as they are in memory and in the file.
func AppendEvent(b *varint.Encoder, e *handler.Event) {
	// A type without a number is written as 0 and its name.
	i := slices.Index(typeCodes, e.Type) + 1
	b.Uint(uint64(i))
	if i == 0 {
		b.Text(string(e.Type))
	}
	b.Time(e.Time)
	b.Uint(e.LTime)
	b.Text(e.ID)
	b.Text(e.Name)
	b.Bytes(e.Payload)
}

// DecodeEvent takes the fields of AppendEvent. The event shares no memory with them.
// The decoder has the error, if there is one.
func DecodeEvent(d *varint.Decoder) handler.Event {
	e := decodeView(d)
	e.Payload = bytes.Clone(e.Payload)
	return e
}

// decodeView is DecodeEvent, but for the payload, which points into the fields.
func decodeView(d *varint.Decoder) handler.Event {
	e := decodeKey(d)
	e.Name = d.Text(varint.NoLimit)
	if p := d.Bytes(varint.NoLimit); len(p) > 0 {
		e.Payload = p
	}
	return e
}

// decodeKey takes the first fields, up to the ID.
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
