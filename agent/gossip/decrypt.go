package gossip

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
)

// An encrypted message of memberlist's is a version, a nonce, and what AES-GCM makes of
// the plain one. In version 0 that is padded to blocks: the last byte is how many were
// added.
const (
	paddedVersion = 0
	lastVersion   = 1
	nonceSize     = 12
	tagSize       = 16
)

// In memberlist's words, which those who want to join look for.
var (
	errNoKey   = errors.New("no installed keys could decrypt the message")
	errPadding = errors.New("what it was padded with is not as a member has it")
)

// decrypted is what a message was before encryption with one of the keys; also is what is
// authenticated with it. The message is overwritten.
func decrypted(keys [][]byte, sealed, also []byte) ([]byte, error) {
	if len(sealed) < 1+nonceSize+tagSize {
		return nil, fmt.Errorf("payload is too small to decrypt: %d", len(sealed))
	}
	version := sealed[0]
	if version > lastVersion {
		return nil, fmt.Errorf("unsupported encryption version %d", version)
	}
	nonce, text := sealed[1:1+nonceSize], sealed[1+nonceSize:]
	for i, key := range keys {
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		gcm, err := cipher.NewGCM(block)
		if err != nil {
			return nil, err
		}
		var into []byte
		if i == len(keys)-1 { // if the key does not fit, nothing of it is left
			into = text[:0]
		}
		plain, err := gcm.Open(into, nonce, text, also)
		if err != nil {
			continue
		}
		if version != paddedVersion {
			return plain, nil
		}
		if len(plain) == 0 || int(plain[len(plain)-1]) > len(plain) {
			return nil, errPadding
		}
		return plain[:len(plain)-int(plain[len(plain)-1])], nil
	}
	return nil, errNoKey
}
