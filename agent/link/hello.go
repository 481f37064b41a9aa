package link

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net"
)

// maxHello bounds the first message on a link, in bytes: the longest hello
// that a Config allows has 856.
const maxHello = 1024

// hello is what each side says of itself, the first that is encrypted where
// anything is. Later versions may append fields, which this one skips.
type hello struct {
	lo, hi     byte // versions spoken; as in the preamble, where anyone could have changed them
	process    ProcessID
	maxMessage int
	name       string
	features   []string
}

func (h hello) encode() []byte {
	b := append([]byte{h.lo, h.hi}, h.process[:]...)
	b = binary.AppendUvarint(b, uint64(h.maxMessage))
	b = appendBytes(b, h.name)
	b = binary.AppendUvarint(b, uint64(len(h.features)))
	for _, f := range h.features {
		b = appendBytes(b, f)
	}
	return b
}

func decodeHello(b []byte) (h hello, err error) {
	d := decoder{b: b}
	if versions := d.take(2); versions != nil {
		h.lo, h.hi = versions[0], versions[1]
	}
	copy(h.process[:], d.take(len(h.process)))
	h.maxMessage = int(min(d.uvarint(), math.MaxInt32))
	h.name = d.text(maxName)
	n := d.uvarint()
	if n > maxFeatures {
		d.fail(fmt.Sprintf("%d features where %d are allowed", n, maxFeatures))
	}
	for range n {
		if d.err != nil {
			break
		}
		h.features = append(h.features, d.text(maxFeature))
	}
	if h.name == "" {
		d.fail("a peer without a name")
	}
	if d.err != nil {
		return hello{}, d.err
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
