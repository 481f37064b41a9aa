package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// featureChecksum says that a node ends its hello with a checksum, and takes a plain link
// in records with checksums.
const featureChecksum = "crc32c"

// castagnoli is CRC-32C, for which processors have an instruction.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errDamaged is for bytes that were changed on the way. No attacker is meant, who could
// change the checksum as well.
var errDamaged = errors.New("what came was damaged on the way")

const (
	checkedHead = 8
	// checkedMost keeps short what is waited for before it can be checked.
	checkedMost = 16 << 10
)

// checked are records with a checksum: the length of the body in two bytes, its complement,
// the checksum of these four bytes and the body, and the body. By the complement a reader
// does not wait for a length that never comes.
var checked = form{
	head:     checkedHead,
	overhead: checkedHead,
	most:     checkedMost,
	size: func(head []byte) (int, error) {
		n := binary.BigEndian.Uint16(head)
		if binary.BigEndian.Uint16(head[2:]) != ^n {
			return 0, fmt.Errorf("%w: the length of a record", errDamaged)
		}
		if n == 0 {
			return 0, fmt.Errorf("%w: an empty record", errProtocol)
		}
		return int(n), nil
	},
	seal: func(dst, plain []byte) ([]byte, error) {
		begin, n := len(dst), uint16(len(plain))
		dst = binary.BigEndian.AppendUint16(dst, n)
		dst = binary.BigEndian.AppendUint16(dst, ^n)
		sum := crc32.Update(crc32.Checksum(dst[begin:], castagnoli), castagnoli, plain)
		dst = binary.BigEndian.AppendUint32(dst, sum)
		return append(dst, plain...), nil
	},
	open: func(record []byte) ([]byte, error) {
		head, plain := record[:checkedHead], record[checkedHead:]
		sum := crc32.Update(crc32.Checksum(head[:4], castagnoli), castagnoli, plain)
		if binary.BigEndian.Uint32(head[4:]) != sum {
			return nil, fmt.Errorf("%w: a record of %d bytes", errDamaged, len(plain))
		}
		return plain, nil
	},
}

// check has what follows on a link checked, if it is plain and both sides can do that.
func (p *party) check(g *greeted) {
	if g.key == (psk{}) && p.self.has(featureChecksum) && g.remote.has(featureChecksum) {
		g.Conn = newRecordLayer(g.Conn, &checked, checkedMost)
	}
}
