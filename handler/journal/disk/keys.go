package disk

import "encoding/binary"

// The buckets of a journal's file. The header is under headerKey in the first;
// events are under their sequence numbers; a target's keys are its name's
// length and name, a kind, and for a burial its sequence number.
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

// splitTargetKey undoes targetKey and burialKey.
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
