package large

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"agentctl/handler"
	"agentctl/handler/varint"
)

const (
	// EventName is that of the serf event that carries a reference. It is
	// reserved: the handlers of stock agents for the event's own name are not
	// run with what they cannot read.
	EventName = "agentctl-large"
	// MaxEvent is the most that name and payload of an event have together, in
	// bytes.
	MaxEvent = 1 << 20
	// MaxName is the longest name of an event that a reference holds, in bytes:
	// with all else a reference fits a packet.
	MaxName = 512
	// maxOrigin is the longest name of a node; serf has shorter ones.
	maxOrigin = 256
)

// magic begins each reference, and its last byte is the version.
const magic = "\xa7large\x01"

// Reference stands for an event. Its ID, but for the Lamport time, is in it: so
// a node that has the event knows that without asking.
type Reference struct {
	Name   string            // of the event
	Size   int               // of the payload, in bytes
	sum    [sha256.Size]byte // handler.Sum of name and payload
	Origin string            // the node that published it
}

// errMalformed is what a payload is that should be a reference.
var errMalformed = errors.New("not a reference to an event")

// Refer refers to an event that a node publishes.
func Refer(name string, payload []byte, origin string) Reference {
	return Reference{Name: name, Size: len(payload), sum: handler.Sum(name, payload), Origin: origin}
}

// Is tells whether an event is the one referred to.
func (r *Reference) Is(name string, payload []byte) bool {
	return name == r.Name && len(payload) == r.Size && handler.Sum(name, payload) == r.sum
}

// Encode makes the payload of the serf event.
func (r *Reference) Encode() []byte {
	e := append(varint.Encoder(magic), r.sum[:]...)
	e.Uint(uint64(r.Size))
	e.Text(r.Name)
	e.Text(r.Origin)
	return e
}

// Decode reads what Encode has made, and nothing else.
func Decode(b []byte) (r Reference, err error) {
	const version = len(magic) - 1
	if len(b) < len(magic)+len(r.sum) || string(b[:version]) != magic[:version] {
		return r, errMalformed
	}
	if b[version] != magic[version] {
		return r, fmt.Errorf("a reference of version %d, and %d is known here: run the same version of agentctl on all nodes", b[version], magic[version])
	}
	d := varint.NewDecoder(b[len(magic)+copy(r.sum[:], b[len(magic):]):])
	r.Size = d.UpTo(MaxEvent)
	r.Name, r.Origin = d.Text(MaxName), d.Text(maxOrigin)
	// One reference is one text: others would be other events to serf.
	if d.End() != nil || len(r.Name)+r.Size > MaxEvent || !bytes.Equal(r.Encode(), b) {
		return Reference{}, errMalformed
	}
	return r, nil
}
