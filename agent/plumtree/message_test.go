package plumtree

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
)

// write writes a message as this package sends it.
func (m *message) write() []byte {
	if m.kind == kindEvent {
		return appendBody(eventHead(nil, m.direct, m.age, m.landing), string(m.name), m.inc, m.seq, m.payload)
	}
	return list(m.kind, m.landing, m.ids)
}

var someMessages = []message{
	{kind: kindEvent, name: []byte("a"), inc: 1, seq: 1},
	{kind: kindEvent, direct: true, age: maxAge, landing: maxLanding, name: bytes.Repeat([]byte("n"), MaxName), inc: math.MaxUint64, seq: math.MaxUint64, payload: []byte("payload")},
	{kind: kindDigest, ids: []ID{1}},
	{kind: kindDigest, landing: 300, ids: make([]ID, maxIDs)},
	{kind: kindPull, ids: []ID{math.MaxUint64, 0}},
	{kind: kindGraft, ids: []ID{7}},
	{kind: kindPrune, ids: []ID{7, 8}},
	{kind: kindFetch, ids: []ID{9}},
}

// The bytes are on the network of other versions.
func TestTheBytesStayAsTheyAre(t *testing.T) {
	e := message{kind: kindEvent, direct: true, age: 7, landing: 300, name: []byte("ab"), inc: 5, seq: 200, payload: []byte{9}}
	if got, want := e.write(), []byte{1, 1, 7, 0xac, 2, 2, 'a', 'b', 5, 0xc8, 1, 9}; !bytes.Equal(got, want) {
		t.Errorf("an event is % x, want % x", got, want)
	}
	d := message{kind: kindDigest, landing: 1, ids: []ID{2}}
	if got, want := d.write(), []byte{2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 2}; !bytes.Equal(got, want) {
		t.Errorf("a digest is % x, want % x", got, want)
	}
	var m message
	if err := m.read(e.write()); err != nil || m.id() != 0x763dc3fc0c499ce7 {
		t.Errorf("the ID of the event is %#x: %v", m.id(), err)
	}
}

func TestMessagesBeyondTheirLimitsAreRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		b    []byte
		want string
	}{
		"nothing":          {nil, "cut off"},
		"unknown kind":     {[]byte{9}, "no message of kind 9"},
		"long name":        {append([]byte{1, 0, 0, 0, 0x81, 2}, make([]byte, 300)...), "a field of 257 where 256 are allowed"},
		"no number":        {[]byte{1, 0, 0, 0, 0, 0, 0}, "no number"},
		"long payload":     {append([]byte{1, 0, 0, 0, 0, 0, 1}, make([]byte, MaxPayload+1)...), "are allowed"},
		"landing too high": {[]byte{2, 0x80, 0x80, 1, 1}, "16384 where 16383 are allowed"},
		"too old":          {[]byte{1, 0, 81, 0, 0, 0, 1}, "81 where 80 are allowed"},
		"no events":        {[]byte{2, 0, 0}, "names no event"},
		"too many events":  {append([]byte{3, 0x81, 2}, make([]byte, 8*257)...), "257 where 256 are allowed"},
		"cut":              {[]byte{3, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0}, "cut off"},
		"too much":         {[]byte{3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}, "too many"},
	} {
		var m message
		if err := m.read(tt.b); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	var m message
	if err := m.read([]byte{1, 0, 0, 0x80, 0, 1, 'a', 1, 1}); !errors.Is(err, errForm) {
		t.Errorf("a number in two bytes where one is enough: %v", err)
	}
}

// A message that is read is the only form of what it says, within its limits, and
// reading does not change it.
func FuzzMessage(f *testing.F) {
	for _, m := range someMessages {
		f.Add(m.write())
	}
	f.Add([]byte{2, 0, 0x80, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		var m message
		err := m.read(b)
		if !bytes.Equal(b, before) {
			t.Fatal("the message was changed")
		}
		if len(m.name) > MaxName || len(m.ids) > maxIDs || cap(m.ids) > 2*maxIDs || m.landing > maxLanding || m.age > maxAge {
			t.Fatalf("beyond the limits: %d bytes of name, %d IDs, landing %d", len(m.name), len(m.ids), m.landing)
		}
		if err != nil {
			return
		}
		if again := m.write(); !bytes.Equal(again, b) {
			t.Fatalf("% x became % x", b, again)
		}
		if m.kind == kindEvent && !bytes.Equal(m.body, appendBody(nil, string(m.name), m.inc, m.seq, m.payload)) {
			t.Fatalf("the body is % x", m.body)
		}
	})
}
