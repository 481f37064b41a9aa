//go:build linux

package attack

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"testing"
)

// encryptedStream is what a holder of the key sends on a stream of gossip.
func encryptedStream(t *testing.T, key, plain []byte) []byte {
	t.Helper()
	head := binary.BigEndian.AppendUint32([]byte{10}, uint32(1+12+len(plain)+16))
	return append(head, sealed(t, key, plain, head)...)
}

// sealed is a message that memberlist's encryption has made of another: a version, a
// nonce and the rest.
func sealed(t *testing.T, key, plain, also []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	nonce := make([]byte, 12)
	return gcm.Seal(append([]byte{1}, nonce...), nonce, plain, also)
}
