package link

import (
	"bufio"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"

	"github.com/flynn/noise"
)

// psk is the secret of a link, made of a key of the keyring. The zero value
// stands for a link without encryption.
type psk [32]byte

// newPSK derives the secret, so that what gossip does with a key, and what
// links do, tell nothing about each other; and since gossip's keys may be
// shorter than the 32 bytes that Noise wants.
func newPSK(key []byte) psk {
	b, err := hkdf.Key(sha256.New, key, nil, "agentctl link psk 1", len(psk{}))
	if err != nil { // only for a length that is too large
		panic(err)
	}
	return psk(b)
}

var suite = noise.NewCipherSuite(noise.DH25519, noise.CipherAESGCM, noise.HashSHA256)

// newNoise starts one side of Noise_NNpsk0_25519_AESGCM_SHA256. The prologue
// is what went in clear before it, and must be the same on both sides.
func newNoise(key psk, initiator bool, prologue []byte) (*noise.HandshakeState, error) {
	return noise.NewHandshakeState(noise.Config{
		CipherSuite:  suite,
		Pattern:      noise.HandshakeNN,
		Initiator:    initiator,
		Prologue:     prologue,
		PresharedKey: key[:],
	})
}

const (
	noiseTag  = 16
	maxRecord = noise.MaxMsgLen
)

// secureConn encrypts a connection: each record is a length in two bytes and a
// Noise message. One goroutine may read while another one writes.
type secureConn struct {
	net.Conn
	r       *bufio.Reader // of Conn
	in, out *noise.CipherState
	limit   int // bytes of a record that is read; small until the peer is proved

	plain []byte // decrypted and not read yet; part of rbuf
	rbuf  []byte
	wbuf  []byte
}

func (c *secureConn) Read(b []byte) (int, error) {
	if len(c.plain) == 0 {
		if err := c.readRecord(); err != nil {
			return 0, err
		}
	}
	n := copy(b, c.plain)
	c.plain = c.plain[n:]
	return n, nil
}

func (c *secureConn) readRecord() error {
	var head [2]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return err
	}
	n := int(binary.BigEndian.Uint16(head[:]))
	if n <= noiseTag || n > c.limit {
		return fmt.Errorf("%w: an encrypted record of %d bytes", errProtocol, n)
	}
	c.rbuf = slices.Grow(c.rbuf[:0], n)[:n]
	if _, err := io.ReadFull(c.r, c.rbuf); err != nil {
		return noEOF(err)
	}
	plain, err := c.in.Decrypt(c.rbuf[:0], nil, c.rbuf)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnproved, err)
	}
	c.plain = plain
	return nil
}

func (c *secureConn) Write(b []byte) (written int, err error) {
	for len(b) > 0 {
		chunk := b[:min(len(b), maxRecord-noiseTag)]
		c.wbuf = binary.BigEndian.AppendUint16(c.wbuf[:0], uint16(len(chunk)+noiseTag))
		if c.wbuf, err = c.out.Encrypt(c.wbuf, nil, chunk); err != nil {
			return written, err
		}
		if _, err := c.Conn.Write(c.wbuf); err != nil {
			return written, err
		}
		written += len(chunk)
		b = b[len(chunk):]
	}
	return written, nil
}
