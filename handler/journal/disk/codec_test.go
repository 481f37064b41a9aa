package disk

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/varint"
	"agentctl/scripts/testkit/journals"
)

func TestCodec(t *testing.T) {
	key := []byte{1, 2}
	s := journal.CursorState{Position: 3, Since: 9, Epochs: []journal.FilterEpoch{{From: 2, Filters: nil}, {From: 4, Filters: handler.Filters{{Type: handler.User, Name: "a,b"}, {Type: "*"}}}}, Lost: 1, SettledExceptions: []journal.Span{{From: 4, To: 4}, {From: 7, To: 9}}, LostSpans: []journal.Span{{From: 1, To: 2}}, RefusedSpans: []journal.Span{{From: 7, To: 7}}}
	got, err := decodeCursor(key, encodeCursor(key, &s))
	if err != nil || fmt.Sprint(got) != fmt.Sprint(s) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := decodeCursor([]byte{1, 3}, encodeCursor(key, &s)); !errors.Is(err, errChecksum) {
		t.Errorf("under another key: %v", err)
	}
	for name, target := range map[string]string{"": "", "x": "x", "long": strings.Repeat("y", handler.MaxTargetName)} {
		got, kind, seq, ok := splitTargetKey(burialKey(target, 77))
		if got != target || kind != kindBurial || seq != 77 || !ok {
			t.Errorf("%s: %q %c %d %v", name, got, kind, seq, ok)
		}
	}
}

// A gap that an earlier version of this program wrote is one, and is flushed.
func TestGapOfVersion1(t *testing.T) {
	key := []byte("key")
	since := time.Unix(1e9, 0)
	for name, at := range map[string]time.Time{"gap": since, "none": {}} {
		b := encoder{varint.Encoder{1}}
		for _, v := range []uint64{1, 1, 1, 1, 0, 0, 5, 2} { // position, since, one filter epoch from 1 without filters, collapse, lost, expired
			b.Uint(v)
		}
		b.Time(at)
		for range 3 {
			b.spans(nil)
		}
		s, err := decodeCursor(key, b.seal(key))
		if err != nil || s.Lost != 5 || !s.Gap.Since.Equal(at) || (s.Gap.Reason == "") != at.IsZero() {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	key := []byte("key")
	now := time.Now()
	for _, e := range []handler.Event{journals.User(1, "kong"), handler.NewMember(handler.MemberJoin, "m", []byte("x"), now), {Type: "other"}} {
		f.Add(encodeEvent(key, &e))
	}
	f.Add(encodeCursor(key, &journal.CursorState{Position: 3, Since: 9, Epochs: []journal.FilterEpoch{{From: 1, Filters: nil}, {From: 2, Filters: handler.Filters{{Type: handler.User, Name: "a"}}}}, Lost: 1, Gap: journal.Gap{Since: now, Reason: "r"}, SettledExceptions: []journal.Span{{From: 4, To: 4}, {From: 7, To: 9}}, LostSpans: []journal.Span{{From: 1, To: 2}}}))
	f.Add(encodeSeqs(key, []uint64{1, 2, 1 << 63}))
	f.Add(encodeHeader(key, journal.Header{Head: 9, First: 2, LTime: 5}, counts{8, 3}))
	f.Add(encodeBurial(key, &journal.Burial{Time: now, Status: -1, Reason: "r", Answer: []byte("a")}))
	f.Fuzz(func(t *testing.T, fuzzed []byte) {
		try := func(what string, value []byte, again func([]byte) ([]byte, error)) {
			out, err := again(value)
			if err != nil {
				return
			}
			// What was read is written so that it reads the same: numbers have
			// one shortest form, so from then on to the byte.
			twice, err := again(out)
			if err != nil || !bytes.Equal(out, twice) {
				t.Errorf("%s: %v\n%x\n%x", what, err, out, twice)
			}
		}
		// As it is, and with a good checksum: few would have one.
		for _, value := range [][]byte{fuzzed, encoder{slices.Clone(fuzzed)}.seal(key)} {
			try("event", value, func(v []byte) ([]byte, error) { e, err := decodeEvent(key, v); return encodeEvent(key, &e), err })
			try("cursor", value, func(v []byte) ([]byte, error) { s, err := decodeCursor(key, v); return encodeCursor(key, &s), err })
			try("seqs", value, func(v []byte) ([]byte, error) { s, err := decodeSeqs(key, v); return encodeSeqs(key, s), err })
			try("header", value, func(v []byte) ([]byte, error) { h, n, err := decodeHeader(key, v); return encodeHeader(key, h, n), err })
			try("burial", value, func(v []byte) ([]byte, error) { b, err := decodeBurial(key, v); return encodeBurial(key, &b), err })
		}
	})
}
