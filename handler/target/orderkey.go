package target

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"math"
	"strconv"
	"strings"

	"agentctl/handler"
	"agentctl/handler/text"
)

// wholePayload is the text of the OrderKey that is the payload as it is.
const wholePayload = "payload"

// maxOrderKey bounds the text of an OrderKey, in bytes.
const maxOrderKey = 1024

// OrderKey maps the events of a target to numbers. Events with the same number keep
// their order among themselves. The numbers mean nothing to another OrderKey or to
// another process. It is safe for concurrent use.
type OrderKey struct {
	paths [][]string // into a JSON payload; none: the payload as it is
	seed  maphash.Seed
}

// ParseOrderKey compiles the field OrderKey of a Target. The text has at most 1,024
// bytes.
func ParseOrderKey(s string) (OrderKey, error) {
	k := OrderKey{seed: maphash.MakeSeed()}
	if s == wholePayload {
		return k, nil
	}
	switch {
	case len(s) > maxOrderKey:
		return k, fmt.Errorf("%d bytes are more than %d", len(s), maxOrderKey)
	case !text.Printable(s):
		return k, fmt.Errorf("%q must be printable UTF-8", s)
	}
	for path := range strings.SplitSeq(s, "+") {
		if path == wholePayload {
			return k, fmt.Errorf("%q: %s means the whole payload and stands alone", s, wholePayload)
		}
		steps := strings.Split(path, ".")
		for _, step := range steps {
			if step == "" {
				return k, fmt.Errorf("%q has an empty name in it; give %s, or paths into a JSON payload such as collection+entity.id", s, wholePayload)
			}
		}
		k.paths = append(k.paths, steps)
	}
	return k, nil
}

// Of returns the number of an event's key. It is false if the event has no key:
// because it is a member event, or because a path leads to no text, number or
// boolean in its payload. Equal keys have equal numbers. Two different keys may
// have the same number by a chance of about 1 in 2^64; that costs a wait, and
// never the order.
func (k *OrderKey) Of(e *handler.Event) (uint64, bool) {
	if e.Type.IsMember() {
		return 0, false
	}
	if k.paths == nil {
		return maphash.Bytes(k.seed, e.Payload), true
	}
	var payload any
	if json.Unmarshal(e.Payload, &payload) != nil {
		return 0, false
	}
	var h maphash.Hash
	h.SetSeed(k.seed)
	for _, path := range k.paths {
		if !writeScalar(&h, walk(payload, path)) {
			return 0, false
		}
	}
	return h.Sum64(), true
}

// walk follows a path into a value that encoding/json decoded. It returns nil if
// the path leads nowhere, or to a null.
func walk(v any, path []string) any {
	for _, step := range path {
		switch parent := v.(type) {
		case map[string]any:
			v = parent[step]
		case []any:
			i, err := strconv.ParseUint(step, 10, 32)
			if err != nil || i >= uint64(len(parent)) {
				return nil
			}
			v = parent[i]
		default:
			return nil
		}
	}
	return v
}

// writeScalar hashes a value so that no two lists of values are hashed alike. Each
// value has its kind before it, and a text, which is valid UTF-8, ends with a byte
// that UTF-8 does not have. It is false for a list, an object or a null.
func writeScalar(h *maphash.Hash, v any) bool {
	switch v := v.(type) {
	case string:
		h.WriteByte('s')
		h.WriteString(v)
		h.WriteByte(0xff)
	case float64:
		// Whole numbers beyond 2^53 may come out equal. That, too, costs only a wait.
		h.WriteByte('n')
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], math.Float64bits(v))
		h.Write(b[:])
	case bool:
		if v {
			h.WriteByte('t')
		} else {
			h.WriteByte('f')
		}
	default:
		return false
	}
	return true
}
