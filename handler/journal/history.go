package journal

import (
	"bytes"
	"hash/maphash"

	"agentctl/handler"
	fifo "agentctl/handler/queue"
)

// history is the log: the events that the journal retains, in order and without
// holes. The newest are entries. The older ones are packed, because most of them are
// never asked for again: an entry with its strings takes three times as much.
//
// An entry that a cursor, a burial or the file still needs outlives the packing of
// its event. So there is never a second entry of an event that somebody holds.
type history struct {
	size    int    // events of a chunk
	changes int    // to the tail, since packOlder looked at it
	head    uint64 // the newest sequence number, also if the history is empty
	chunks  fifo.Ring[chunk]
	passed  int               // events of the first chunk that the log has let go of
	tail    fifo.Ring[*Entry] // behind the chunks
	kept    map[uint64]*Entry // packed, and still needed; by sequence number
	most    int               // of those, since there were none
	front   *Entry            // the oldest event, if it was asked for; its payload may be that of an opened chunk
	space   packer

	// The chunk that was opened last, by the sequence number of its first event. Mostly the
	// next event that is asked for is in the same one.
	openedAt uint64
	opened   opened

	ids   map[uint32]uint32 // the low bits of sequence numbers, by a hash of the ID
	twins map[string]uint64 // sequence numbers by ID, where another ID has the same hash
}

// maxChunk is how many events a chunk has at most. At least twice as many of the newest
// events are not packed, because they are still asked for: serf sends an event some times
// within a second, and cursors take it.
const maxChunk = 128

// newHistory makes an empty history, for at most so many events.
func newHistory(maxEvents int) history { return history{size: min(max(maxEvents/8, 1), maxChunk)} }

func (h *history) len() int { return h.chunks.Len()*h.size - h.passed + h.tail.Len() }

// first is the oldest sequence number; of an empty history the next one to come.
func (h *history) first() uint64 { return h.head + 1 - uint64(h.len()) }

// packed is how many events are in chunks, from the first on.
func (h *history) packed() uint64 { return uint64(h.len() - h.tail.Len()) }

// push adds an entry that has the next sequence number.
func (h *history) push(e *Entry) {
	h.tail.PushBack(e)
	h.head = e.Seq
	if e.Event.ID != "" {
		h.indexID(e)
	}
	h.packOlder()
}

// packOlder packs what may be packed. It is called after each change to the tail, and looks
// after some of them. A chunk of which more than a few events are needed has to wait, and
// all behind it: their entries would take more than what packing them gives back.
func (h *history) packOlder() {
	if h.changes++; h.changes < h.size {
		return
	}
	for h.changes = 0; h.tail.Len() >= 3*h.size; {
		needed := 0
		for i := range h.size {
			if h.tail.At(i).needed() {
				needed++
			}
		}
		if needed > h.size/8 {
			return
		}
		h.chunks.PushBack(h.pack())
		for range h.size {
			if e := h.tail.PopFront(); e.needed() {
				h.keep(e)
			}
		}
	}
}

// pop takes the oldest event off, which must be there.
func (h *history) pop() *Entry {
	e := h.oldest()
	if h.packed() == 0 {
		h.tail.PopFront()
	} else if h.passed++; h.passed == h.size {
		h.chunks.PopFront()
		h.passed = 0
	}
	h.front = nil
	h.forget(e.Seq)
	if e.Event.ID != "" {
		h.unindexID(e)
	}
	return e
}

// oldest returns the oldest event, which must be there. Nobody may hold it.
func (h *history) oldest() *Entry {
	if h.front == nil {
		seq := h.first()
		if c, i := h.find(seq); c == nil || h.kept[seq] != nil {
			h.front = h.at(seq)
		} else {
			h.front = packedEntry(seq, h.view(c, i, seq))
		}
	}
	return h.front
}

// at returns the entry of an event, or nil. For a packed event that nobody else holds
// it is made for the caller, and to hold it takes Journal.hold.
func (h *history) at(seq uint64) *Entry {
	c, i := h.find(seq)
	if c == nil {
		if i < 0 {
			return nil
		}
		return h.tail.At(i)
	}
	if e := h.kept[seq]; e != nil {
		return e
	}
	e := h.view(c, i, seq)
	e.Payload = bytes.Clone(e.Payload)
	return packedEntry(seq, e)
}

// view returns an event of a chunk. Its payload points into the opened chunk, which nobody
// changes.
func (h *history) view(c chunk, i int, seq uint64) handler.Event {
	if first := seq - uint64(i); h.openedAt != first {
		h.opened, h.openedAt = c.open(h.size), first
	}
	e := c.key(i)
	h.opened.add(i, &e)
	return e
}

// packedEntry is the entry of an event that nobody but the log holds.
func packedEntry(seq uint64, e handler.Event) *Entry {
	return &Entry{Record: Record{seq, e}, refs: 1, written: true}
}

// key returns what an event is found by: its time, Lamport time and ID, in an event
// without name and payload. The event must be there.
func (h *history) key(seq uint64) handler.Event {
	c, i := h.find(seq)
	if c == nil {
		return h.tail.At(i).Event
	}
	return c.key(i)
}

// id returns the ID of an event, which must be there.
func (h *history) id(seq uint64) string { return h.key(seq).ID }

// find tells where an event is: in a chunk, or in the tail, and at which index there. The
// index is -1 if the event is nowhere.
func (h *history) find(seq uint64) (chunk, int) {
	i := seq - h.first() // huge, if it is before that
	switch packed := h.packed(); {
	case i >= uint64(h.len()):
		return nil, -1
	case i >= packed:
		return nil, int(i - packed)
	}
	at := int(i) + h.passed
	return h.chunks.At(at / h.size), at % h.size
}

// keep is called for an entry that is needed.
func (h *history) keep(e *Entry) {
	if c, _ := h.find(e.Seq); c == nil {
		return
	}
	if h.kept == nil {
		h.kept = make(map[uint64]*Entry)
	}
	h.kept[e.Seq], h.front = e, nil
	h.most = max(h.most, len(h.kept))
}

// forget is called for an event whose entry is not needed any more.
func (h *history) forget(seq uint64) {
	h.packOlder()
	delete(h.kept, seq)
	if len(h.kept) == 0 && h.most > maxChunk {
		h.kept, h.most = nil, 0 // a map does not shrink
	}
}

var idSeed = maphash.MakeSeed()

func idHash(id string) uint32 { return uint32(maphash.String(idSeed, id)) }

// byID returns the sequence number of an event with an ID, or 0.
func (h *history) byID(id string) uint64 {
	if low, ok := h.ids[idHash(id)]; ok {
		first := h.first()
		if seq := first + uint64(low-uint32(first)); h.id(seq) == id {
			return seq
		}
	}
	return h.twins[id]
}

func (h *history) indexID(e *Entry) {
	hash := idHash(e.Event.ID)
	if _, taken := h.ids[hash]; taken {
		if h.twins == nil {
			h.twins = make(map[string]uint64)
		}
		h.twins[e.Event.ID] = e.Seq
		return
	}
	if h.ids == nil {
		h.ids = make(map[uint32]uint32)
	}
	h.ids[hash] = uint32(e.Seq)
}

func (h *history) unindexID(e *Entry) {
	hash := idHash(e.Event.ID)
	if low, ok := h.ids[hash]; ok && low == uint32(e.Seq) {
		delete(h.ids, hash)
		return
	}
	if h.twins[e.Event.ID] == e.Seq {
		delete(h.twins, e.Event.ID)
	}
}
