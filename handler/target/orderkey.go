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

// wholePayload is the OrderKey that stands for the payload as it is.
const wholePayload = "payload"

// maxOrderKey bounds the text of an OrderKey, in bytes.
const maxOrderKey = 1024

// OrderKey tells which events of a target keep their order among themselves:
// those of which it makes the same number. It is safe for concurrent use.
type OrderKey struct {
	paths [][]string // into a JSON payload; none: the payload as it is
	seed  maphash.Seed
}

// NewOrderKey compiles the OrderKey of a Target.
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

// Of returns the key of an event, or false where it has none: it is a member
// event, or a path leads to no text, number or boolean in its payload. Equal
// keys give equal numbers. Two different keys may, too, by a chance of about 1
// in 2^64; that costs a wait and no order.
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

// walk follows a path through what encoding/json has decoded; nil, which is
// also what a null is, where it leads nowhere.
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

// writeScalar writes a value so that no two lists of values are written alike:
// each has its kind before it, and a text, which is valid UTF-8, ends with a
// byte that UTF-8 does not have.
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
