package delegate

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"agentctl/handler/varint"
)

// Limits of messages.
const (
	maxNames    = 1024
	maxName     = 256      // bytes
	maxQuestion = 16 << 10 // likewise
	maxRequest  = 96 << 10
	maxShared   = 64 << 10 // of one answer
	maxOwn      = 4 << 10
	maxReply    = 512 << 10
	maxAnswers  = 1 << 20 // of all answers of a reply, with what they have in common for each
)

// Answer is what a member says. Shared is that part which many members are likely to
// have in common, and which two delegates have to pass on alike. Own is the rest.
type Answer struct{ Shared, Own []byte }

func (a *Answer) size() int { return len(a.Shared) + len(a.Own) }

func (a *Answer) fits() bool { return len(a.Shared) <= maxShared && len(a.Own) <= maxOwn }

// request asks a delegate to ask others.
type request struct {
	path     int // 0 or 1: which half of the members passes it on
	level    int // how many delegates it has passed
	wait     time.Duration
	question []byte
	names    []string
}

func (r *request) encode(version byte) []byte {
	e := varint.Encoder{version, byte(r.path), byte(r.level)}
	e.Uint(uint64(r.wait / time.Millisecond))
	e.Bytes(r.question)
	e.Uint(uint64(len(r.names)))
	for _, name := range r.names {
		e.Text(name)
	}
	return e
}

func decodeRequest(b []byte) (r request, err error) {
	if len(b) > maxRequest {
		return r, fmt.Errorf("delegate: a request of %d bytes, where %d are allowed", len(b), maxRequest)
	}
	d := varint.NewDecoder(b)
	d.Byte() // the version, which has brought it here
	r.path, r.level = int(d.Byte()), int(d.Byte())
	r.wait = time.Duration(d.UpTo(int(longest/time.Millisecond))) * time.Millisecond
	r.question = d.Bytes(maxQuestion)
	r.names = varint.List(&d, maxNames, func() string { return d.Text(maxName) })
	if r.path > 1 || r.level > maxLevel {
		d.Fail("path %d at level %d", r.path, r.level)
	}
	if err := d.End(); err != nil {
		return request{}, fmt.Errorf("delegate: a request that makes no sense: %w", err)
	}
	return r, nil
}

// splits tells whether the delegate has delegates ask in turn.
func (r *request) splits() bool { return len(r.names) > Few && r.level < maxLevel }

// encodeBusy is the reply of a delegate that works for enough others. It is not an error,
// since agents of earlier versions answer with one.
func encodeBusy(version byte) []byte { return []byte{version} }

var errBusy = errors.New("delegate: it works for enough others: ask again soon, or another one")

// encodeReply has the answers in the order of the names; nil for a name that was not
// reached. Each Shared is in it once. What does not fit is left out.
func encodeReply(version byte, answers []*Answer) []byte {
	var shared, rest varint.Encoder
	at := map[string]uint64{}
	all := 0
	for _, a := range answers {
		size := len(shared) + len(rest) + 2*len(answers) + 32
		if a == nil || !a.fits() || size+len(a.Shared)+len(a.Own) > maxReply || all+a.size() > maxAnswers {
			rest.Uint(0)
			continue
		}
		all += a.size()
		n, known := at[string(a.Shared)]
		if !known {
			n = uint64(len(at) + 1)
			at[string(a.Shared)] = n
			shared.Bytes(a.Shared)
		}
		rest.Uint(n)
		rest.Bytes(a.Own)
	}
	e := varint.Encoder{version}
	e.Uint(uint64(len(at)))
	e.Raw(shared)
	e.Raw(rest)
	return e
}

var errReply = errors.New("delegate: a reply that makes no sense")

// decodeReply reads the reply to a request with n names.
func decodeReply(version byte, b []byte, n int) ([]*Answer, error) {
	if len(b) == 0 || len(b) > maxReply || b[0] != version {
		return nil, fmt.Errorf("%w: %d bytes, which begin with %.1q", errReply, len(b), b)
	}
	if len(b) == 1 {
		return nil, errBusy
	}
	d := varint.NewDecoder(b[1:])
	shared := varint.List(&d, n, func() []byte { return bytes.Clone(d.Bytes(maxShared)) })
	answers := make([]*Answer, n)
	all := 0
	for i := range answers {
		if at := d.UpTo(len(shared)); at > 0 {
			answers[i] = &Answer{shared[at-1], bytes.Clone(d.Bytes(maxOwn))}
			if all += answers[i].size(); all > maxAnswers { // the reader may keep each
				d.Fail("answers of %d bytes or more", all)
				break
			}
		}
	}
	if err := d.End(); err != nil {
		return nil, fmt.Errorf("%w: %w", errReply, err)
	}
	return answers, nil
}
