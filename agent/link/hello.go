package link

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"net"
	"slices"

	"agentctl/handler/varint"
)

// maxHello bounds the first message on a link, in bytes: the longest hello
// that a Config allows has 856.
const maxHello = 1024

// hello is what each side says of itself, the first that is encrypted where
// anything is. Later versions may append fields, which this one skips. One with
// featureChecksum ends with the checksum of all of it.
type hello struct {
	lo, hi     byte     // versions spoken; as in the preamble, where anyone could have changed them
	sender     senderID // of who opens the link
	maxMessage int
	name       string
	features   []string
}

func (h hello) encode() []byte {
	e := append(varint.Encoder{h.lo, h.hi}, h.sender[:]...)
	e.Uint(uint64(h.maxMessage))
	e.Text(h.name)
	e.Uint(uint64(len(h.features)))
	for _, f := range h.features {
		e.Text(f)
	}
	if h.has(featureChecksum) {
		return binary.BigEndian.AppendUint32(e, crc32.Checksum(e, castagnoli))
	}
	return e
}

func (h hello) has(feature string) bool { return slices.Contains(h.features, feature) }

func decodeHello(b []byte) (h hello, err error) {
	d := varint.NewDecoder(b)
	h.lo, h.hi = d.Byte(), d.Byte()
	copy(h.sender[:], d.Take(len(h.sender)))
	h.maxMessage = int(min(d.Uint(), math.MaxInt32))
	h.name = d.Text(maxName)
	h.features = varint.List(&d, maxFeatures, func() string { return d.Text(maxFeature) })
	if h.name == "" {
		d.Fail("a peer without a name")
	}
	rest := d.Rest()
	if err := d.Err(); err != nil {
		return hello{}, fmt.Errorf("%w: %w", errProtocol, err)
	}
	if told := len(b) - crc32.Size; h.has(featureChecksum) &&
		(len(rest) < crc32.Size || binary.BigEndian.Uint32(b[told:]) != crc32.Checksum(b[:told], castagnoli)) {
		return hello{}, fmt.Errorf("%w: a hello", errDamaged)
	}
	return h, nil
}

// write sends the hello with its length in two bytes ahead.
func (h hello) write(conn net.Conn) error {
	b := h.encode()
	_, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
	return err
}

func readHello(conn net.Conn) (hello, error) {
	var head [2]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return hello{}, err
	}
	n := binary.BigEndian.Uint16(head[:])
	if n > maxHello {
		return hello{}, fmt.Errorf("%w: a hello of %d bytes where %d are allowed", errProtocol, n, maxHello)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(conn, b); err != nil {
		return hello{}, noEOF(err)
	}
	return decodeHello(b)
}
