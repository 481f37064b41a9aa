package gossip

import (
	"bufio"
	"bytes"
	"compress/lzw"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/hashicorp/go-msgpack/v2/codec"
)

// The types of memberlist's messages that hold others.
const (
	compoundType = 7
	compressType = 9
	encryptType  = 10
	crcType      = 12
)

const (
	// packetMost is how far a packet may be inflated: no member sends a longer one, and
	// members compress 1,400 bytes. Memberlist itself allows 40 MiB, for each of 255
	// messages in a packet.
	packetMost = 1 << 16
	lzwWidth   = 8 // as memberlist has it
)

var (
	errGrows  = errors.New("it grows beyond what a member sends")
	errNested = errors.New("it has a compressed message within another, which no member sends")
	errHead   = errors.New("its head is not that of a message of its type")
)

// inflated is a packet as memberlist would have it after it took off checksum and
// compression. What is wrong with it otherwise is for memberlist to find.
func inflated(packet []byte) ([]byte, error) {
	b := packet
	if len(b) > 5 && b[0] == crcType {
		if crc32.ChecksumIEEE(b[5:]) != binary.BigEndian.Uint32(b[1:5]) {
			return packet, nil
		}
		b = b[5:]
	}
	if len(b) > 0 && b[0] == compressType {
		var c struct {
			Algo uint8
			Buf  []byte
		}
		if codec.NewDecoderBytes(b[1:], &userMessageFormat).Decode(&c) != nil || c.Algo != 0 {
			return packet, nil
		}
		var out bytes.Buffer
		n, err := io.CopyN(&out, lzw.NewReader(bytes.NewReader(c.Buf), lzw.LSB, lzwWidth), packetMost+1)
		switch {
		case n > packetMost:
			return nil, errGrows
		case err != io.EOF || n == 0:
			return nil, fmt.Errorf("%w: it cannot be read", errHead)
		}
		b = out.Bytes()
	}
	if nests(b, 0) {
		return nil, errNested
	}
	return b, nil
}

// mostCompounds is how deep messages that hold others may be within each other. Members
// send no such message within another.
const mostCompounds = 4

// nests tells whether something is compressed in a message that was inflated. Memberlist
// would inflate it without this package's limit.
func nests(b []byte, depth int) bool {
	switch {
	case len(b) == 0:
		return false
	case b[0] == compressType || b[0] == crcType && depth == 0 && len(b) > 5:
		// A checksum in front is taken off once more, with what is behind it.
		return depth > 0 || b[0] == compressType || nests(b[5:], 1)
	case b[0] != compoundType || len(b) < 2:
		return false
	case depth == mostCompounds:
		return true
	}
	n := int(b[1])
	lengths, rest := b[2:], []byte(nil)
	if len(lengths) < 2*n {
		return false // memberlist refuses it
	}
	lengths, rest = lengths[:2*n], lengths[2*n:]
	for ; len(lengths) > 0; lengths = lengths[2:] {
		size := int(binary.BigEndian.Uint16(lengths))
		if size > len(rest) {
			return false // likewise
		}
		if nests(rest[:size], depth+1) {
			return true
		}
		rest = rest[size:]
	}
	return false
}

// inflate reads a compressed message of memberlist's without its type, and returns what
// it holds as a stream: no more of it is in memory than is read at a time.
func inflate(r *bufio.Reader) (*bufio.Reader, error) {
	if err := expect(r, 0x82, 0xa4, 'A', 'l', 'g', 'o', 0, 0xa3, 'B', 'u', 'f'); err != nil {
		return nil, err
	}
	kind, err := r.ReadByte()
	if err != nil {
		return nil, err
	}
	var size int64
	switch {
	case kind >= 0xa0 && kind <= 0xbf:
		size = int64(kind & 0x1f)
	case kind == 0xc4 || kind == 0xd9:
		size, err = number(r, 1)
	case kind == 0xc5 || kind == 0xda:
		size, err = number(r, 2)
	case kind == 0xc6 || kind == 0xdb:
		size, err = number(r, 4)
	default:
		err = errHead
	}
	if err != nil {
		return nil, err
	}
	return bufio.NewReader(lzw.NewReader(io.LimitReader(r, size), lzw.LSB, lzwWidth)), nil
}

func expect(r io.ByteReader, want ...byte) error {
	for _, w := range want {
		if b, err := r.ReadByte(); err != nil {
			return err
		} else if b != w {
			return errHead
		}
	}
	return nil
}

func number(r io.ByteReader, bytes int) (n int64, err error) {
	for range bytes {
		b, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		n = n<<8 | int64(b)
	}
	return n, nil
}

const (
	// lookedAt is from how many bytes on a message of serf's is looked at before it is
	// decoded. Smaller ones cannot grow by much.
	lookedAt = 1 << 16
	// mostValues is how many values a message of serf's may have: a full sync of 25,600
	// events, the most that serf keeps of a burst, and of 150,000 members.
	mostValues = 1 << 19
)

// fits tells whether a message of serf's, in msgpack behind its type, has no more values
// than members send. Decoded, one byte of a list can become 24.
func fits(raw []byte) bool {
	if len(raw) < lookedAt {
		return true
	}
	b := raw[1:]
	for values := 0; len(b) > 0; values++ {
		if values > mostValues {
			return false
		}
		head, size := 1, 0
		length := func(n int) { // of bytes that follow
			if head += n; len(b) >= head {
				for _, c := range b[1:head] {
					size = size<<8 | int(c)
				}
			}
		}
		switch c := b[0]; {
		case c >= 0xa0 && c <= 0xbf:
			size = int(c & 0x1f)
		case c == 0xc4 || c == 0xd9:
			length(1)
		case c == 0xc5 || c == 0xda:
			length(2)
		case c == 0xc6 || c == 0xdb:
			length(4)
		case c == 0xcc || c == 0xd0:
			size = 1
		case c == 0xcd || c == 0xd1 || c == 0xdc || c == 0xde || c == 0xd4:
			size = 2
		case c == 0xce || c == 0xd2 || c == 0xca || c == 0xdd || c == 0xdf:
			size = 4
		case c == 0xcf || c == 0xd3 || c == 0xcb:
			size = 8
		}
		b = b[min(head+size, len(b)):]
	}
	return true
}
