package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/varint"
)

// Every value in a journal's file is sealed. It has a version byte, the fields, and a
// CRC-32C over key, version and fields. So a value under another key is as wrong as
// one with a bit flipped. See package varint for the fields. Version 1 had no reason
// of a gap, 2 no last event of a target, and 3 did not count the values of targets.
// All of them are read.
const codecVersion = 4

var (
	errChecksum = errors.New("its checksum is wrong")
	errEncoding = errors.New("its fields make no sense")
)

// versionError is a value that a later version of this program wrote.
type versionError struct{ version byte }

func (e *versionError) Error() string {
	return fmt.Sprintf("it has version %d, and this program reads versions up to %d; use the newer program that wrote it", e.version, codecVersion)
}

// encoder appends fields to a value.
type encoder struct{ varint.Encoder }

func newEncoder(size int) encoder {
	return encoder{append(make(varint.Encoder, 0, size), codecVersion)}
}

func (b encoder) seal(key []byte) []byte {
	return binary.BigEndian.AppendUint32(b.Encoder, checksum(key, b.Encoder))
}

func checksum(key, value []byte) uint32 {
	castagnoli := crc32.MakeTable(crc32.Castagnoli) // made once
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

// decoder takes the fields of a value apart.
type decoder struct {
	varint.Decoder
	version byte
}

// unseal checks a value. The bytes that the decoder returns point into it.
func unseal(key, value []byte) (*decoder, error) {
	n := len(value) - 4
	if n < 1 {
		return nil, errEncoding
	}
	if checksum(key, value[:n]) != binary.BigEndian.Uint32(value[n:]) {
		return nil, errChecksum
	}
	if value[0] == 0 || value[0] > codecVersion {
		return nil, &versionError{value[0]}
	}
	return &decoder{varint.NewDecoder(value[1:n]), value[0]}, nil
}

// bytes and string take fields that only the value's own length limits.
func (d *decoder) bytes() []byte { return d.Bytes(varint.NoLimit) }

func (d *decoder) string() string { return d.Text(varint.NoLimit) }

// end returns an error unless all fields were there and nothing is left over.
func (d *decoder) end() error {
	if d.End() != nil {
		return errEncoding
	}
	return nil
}

func encodeEvent(key []byte, e *handler.Event) []byte {
	b := newEncoder(len(e.ID) + len(e.Name) + len(e.Payload) + 48)
	journal.AppendEvent(&b.Encoder, e)
	return b.seal(key)
}

// decodeEvent makes an event that shares no memory with value.
func decodeEvent(key, value []byte) (handler.Event, error) {
	d, err := unseal(key, value)
	if err != nil {
		return handler.Event{}, err
	}
	e := journal.DecodeEvent(&d.Decoder)
	return e, d.end()
}
