package large

import (
	"encoding/binary"
	"errors"
	"fmt"

	"agentctl/handler/varint"
)

// frameType begins a frame. Serf's messages, which go over links as they are,
// begin with a number of a list that is only appended to.
const frameType = 0xa1

// MaxFrame is the longest frame, in bytes: an event, and serf's message with a
// reference to it.
const MaxFrame = MaxEvent + 4<<10

var errFrame = errors.New("not an event with its reference")

// Pack puts serf's message with a reference and the payload referred to
// together, for links.
func Pack(message, payload []byte) []byte {
	b := make([]byte, 0, 1+binary.MaxVarintLen32+len(message)+len(payload))
	b = varint.AppendBytes(append(b, frameType), message)
	return append(b, payload...)
}

// Packed tells whether a message of a link is a frame.
func Packed(b []byte) bool { return len(b) > 0 && b[0] == frameType }

// Unpack takes a frame apart; what it returns points into it.
func Unpack(b []byte) (message, payload []byte, err error) {
	if !Packed(b) {
		return nil, nil, errFrame
	}
	d := varint.NewDecoder(b[1:])
	message, payload = d.Bytes(varint.NoLimit), d.Rest()
	if d.Err() != nil {
		return nil, nil, errFrame
	}
	return message, payload, nil
}

// version is that of requests and answers, which begin with it. A request is
// an event's ID; an answer tells whether it is held, and then the payload is
// the rest.
const (
	version = 1
	maxID   = 64 // bytes
	absent  = 0
	held    = 1
)

func encodeRequest(id string) []byte { return append([]byte{version}, id...) }

func decodeRequest(b []byte) (id string, err error) {
	if len(b) == 0 || b[0] != version {
		return "", versionError(b)
	}
	if len(b) == 1 || len(b) > 1+maxID {
		return "", fmt.Errorf("large: a request of %d bytes", len(b))
	}
	return string(b[1:]), nil
}

func encodeAnswer(payload []byte, ok bool) []byte {
	if !ok {
		return []byte{version, absent}
	}
	b := make([]byte, 0, 2+len(payload))
	return append(append(b, version, held), payload...)
}

func decodeAnswer(b []byte) (payload []byte, ok bool, err error) {
	if len(b) == 0 || b[0] != version {
		return nil, false, versionError(b)
	}
	if len(b) == 1 || b[1] > held || b[1] == absent && len(b) > 2 {
		return nil, false, errors.New("large: an answer that makes no sense")
	}
	return b[2:], b[1] == held, nil
}

func versionError(b []byte) error {
	return fmt.Errorf("large: a message that begins with %.1q, and version %d is spoken here: run the same version of agentctl on all nodes", b, version)
}
