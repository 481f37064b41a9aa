package durable

import (
	"errors"
	"fmt"

	"agentctl/handler/varint"
)

// version is that of the messages, which begin with it. A request lists IDs of events,
// or none: then it asks only whether the node keeps a journal on a disk. The answer
// says why it does not, or nothing, and for each ID whether the event is in the file.
const version = 1

// Limits of messages.
const (
	maxIDs    = 1000
	maxID     = 64  // bytes
	maxReason = 200 // likewise
)

var errMalformed = errors.New("durable: a message that makes no sense")

func encodeRequest(ids []string) []byte {
	e := varint.Encoder{version}
	e.Uint(uint64(len(ids)))
	for _, id := range ids {
		e.Text(id)
	}
	return e
}

func decodeRequest(b []byte) (ids []string, err error) {
	d, err := open(b)
	if err != nil {
		return nil, err
	}
	ids = varint.List(d, maxIDs, func() string { return d.Text(maxID) })
	return ids, end(d)
}

// reply is the answer to a request.
type reply struct {
	reason string // why this node cannot have events on a disk; "" if it can
	synced []bool // for each ID
}

func encodeReply(r reply) []byte {
	e := varint.Encoder{version}
	e.Text(r.reason[:min(len(r.reason), maxReason)])
	for _, on := range r.synced {
		e.Bool(on)
	}
	return e
}

// decodeReply reads the answer to a request with n IDs.
func decodeReply(b []byte, n int) (r reply, err error) {
	d, err := open(b)
	if err != nil {
		return r, err
	}
	r.reason = d.Text(maxReason)
	for range n {
		r.synced = append(r.synced, d.Bool())
	}
	return r, end(d)
}

func open(b []byte) (*varint.Decoder, error) {
	if len(b) == 0 || b[0] != version {
		return nil, fmt.Errorf("durable: a message that begins with %.1q, and version %d is spoken here: run the same version of agentctl on all nodes", b, version)
	}
	d := varint.NewDecoder(b[1:])
	return &d, nil
}

func end(d *varint.Decoder) error {
	if err := d.End(); err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	return nil
}
