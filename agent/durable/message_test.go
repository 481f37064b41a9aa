package durable

import (
	"fmt"
	"strings"
	"testing"
)

func TestMessagesThatMakeNoSense(t *testing.T) {
	t.Parallel()
	many := make([]string, maxIDs+1)
	for _, req := range []string{
		"", "\x01", "\x02\x00", "\x01\x00\x00", "\x01\x01", "\x01\x01\x02a", string(encodeRequest([]string{strings.Repeat("x", maxID+1)})), string(encodeRequest(many)),
	} {
		if ids, err := decodeRequest([]byte(req)); err == nil {
			t.Errorf("%.20q: %v", req, ids)
		}
	}
	for _, r := range []string{"", "\x01", "\x02\x00\x00", "\x01\x00", "\x01\x00\x02", "\x01\x00\x01\x01"} {
		if got, err := decodeReply([]byte(r), 1); err == nil {
			t.Errorf("%q: %v", r, got)
		}
	}
}

// What can be read is written again as it was.
func FuzzRequest(f *testing.F) {
	f.Add(encodeRequest(nil))
	f.Add(encodeRequest([]string{"1-0f4b3224a0bfdf43", "2-0f4b3224a0bfdf43"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		ids, err := decodeRequest(b)
		if err != nil {
			return
		}
		again, err := decodeRequest(encodeRequest(ids))
		if err != nil || fmt.Sprint(again) != fmt.Sprint(ids) || len(ids) > maxIDs {
			t.Errorf("%q, %v, want %q", again, err, ids)
		}
	})
}

func FuzzReply(f *testing.F) {
	f.Add(encodeReply(reply{reason: noDataDir}), 0)
	f.Add(encodeReply(reply{synced: []bool{true, false}}), 2)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		n = min(max(n, 0), maxIDs)
		r, err := decodeReply(b, n)
		if err != nil {
			return
		}
		if len(r.synced) != n || len(r.reason) > maxReason {
			t.Errorf("%+v for %d IDs", r, n)
		}
		again, err := decodeReply(encodeReply(r), n)
		if err != nil || fmt.Sprint(again) != fmt.Sprint(r) {
			t.Errorf("%+v, %v, want %+v", again, err, r)
		}
	})
}
