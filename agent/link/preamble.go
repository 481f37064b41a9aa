package link

import (
	"encoding/binary"
	"fmt"
	"io"
)

// A link begins with a preamble from each side, in clear. Its six bytes mean
// the same in every version, so that any two versions can refuse each other:
//
//	magic | lowest version | highest version | code | length of what follows (2)
//
// What follows is the side's message of the Noise handshake, in keyed mode.
type preamble struct {
	lo, hi byte
	code   byte // a mode from who opens the link, a verdict from who accepts it
	noise  []byte
}

// Modes, which say how the rest of a link goes on.
const (
	modePlain = 0
	modeNoise = 1 // NNpsk0
)

// Verdicts on a preamble.
const (
	verdictOK        = 0
	verdictVersion   = 1 // no version in common
	verdictNeedsKey  = 2 // the accepting side has a keyring
	verdictNoKeyring = 3
	verdictWrongKey  = 4 // the key is not on the accepting side's keyring
	verdictBusy      = 5 // too many handshakes at a time, or starting, or stopping
	verdictMalformed = 6 // the preamble makes no sense, or the mode is not known
)

const (
	preambleSize = 6
	// maxNoise bounds a handshake message: an ephemeral key of 32 bytes and a
	// tag are 48; a later version may have more to say.
	maxNoise = 256
)

func (p preamble) encode() []byte {
	b := append(make([]byte, 0, preambleSize+len(p.noise)), magic, p.lo, p.hi, p.code)
	b = binary.BigEndian.AppendUint16(b, uint16(len(p.noise)))
	return append(b, p.noise...)
}

// readPreamble reads what comes after magic.
func readPreamble(r io.Reader) (p preamble, err error) {
	var b [preambleSize - 1]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return preamble{}, noEOF(err)
	}
	p.lo, p.hi, p.code = b[0], b[1], b[2]
	n := binary.BigEndian.Uint16(b[3:])
	switch {
	case p.lo == 0 || p.lo > p.hi:
		return preamble{}, fmt.Errorf("%w: versions %d to %d", errProtocol, p.lo, p.hi)
	case n > maxNoise:
		return preamble{}, fmt.Errorf("%w: a handshake of %d bytes where %d are allowed", errProtocol, n, maxNoise)
	}
	p.noise = make([]byte, n)
	if _, err := io.ReadFull(r, p.noise); err != nil {
		return preamble{}, noEOF(err)
	}
	return p, nil
}
