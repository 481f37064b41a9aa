package link

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

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
	noiseHead = 2
	noiseTag  = 16
)

// encrypted are records of Noise's transport phase: the length in two bytes and a message.
func encrypted(in, out *noise.CipherState) *form {
	return &form{
		head:     noiseHead,
		overhead: noiseHead + noiseTag,
		most:     maxRecord - noiseTag,
		size: func(head []byte) (int, error) {
			n := int(binary.BigEndian.Uint16(head))
			if n <= noiseTag {
				return 0, fmt.Errorf("%w: an encrypted record of %d bytes", errProtocol, n)
			}
			return n, nil
		},
		seal: func(dst, plain []byte) ([]byte, error) {
			dst = binary.BigEndian.AppendUint16(dst, uint16(len(plain)+noiseTag))
			return out.Encrypt(dst, nil, plain)
		},
		open: func(record []byte) ([]byte, error) {
			message := record[noiseHead:]
			plain, err := in.Decrypt(message[:0], nil, message)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", errUnproved, err)
			}
			return plain, nil
		},
	}
}
