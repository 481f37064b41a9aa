package disk

import "encoding/binary"

// The buckets of a journal's file. The first has the header, under headerKey. The
// second has the events, under their sequence numbers. A key in the third is the
// length of a target's name, the name, a kind, and for a burial the sequence number.
var (
	journalBucket = []byte("journal")
	eventsBucket  = []byte("events")
	targetsBucket = []byte("targets")
	headerKey     = []byte("header")
)

const (
	kindCursor  = 'c'
	kindPending = 'x'
	kindBurial  = 'b'
)

func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

func targetPrefix(name string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(name))), name...)
}

func targetKey(name string, kind byte) []byte { return append(targetPrefix(name), kind) }

func burialKey(name string, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(targetKey(name, kindBurial), seq)
}

// splitTargetKey undoes targetKey and burialKey. It is false for any other key.
func splitTargetKey(key []byte) (name string, kind byte, seq uint64, ok bool) {
	if len(key) < 3 {
		return "", 0, 0, false
	}
	n := int(binary.BigEndian.Uint16(key))
	rest := key[2:]
	if len(rest) < n+1 {
		return "", 0, 0, false
	}
	name, kind, rest = string(rest[:n]), rest[n], rest[n+1:]
	switch {
	case kind == kindBurial && len(rest) == 8:
		return name, kind, binary.BigEndian.Uint64(rest), true
	case (kind == kindCursor || kind == kindPending) && len(rest) == 0:
		return name, kind, 0, true
	}
	return "", 0, 0, false
}
