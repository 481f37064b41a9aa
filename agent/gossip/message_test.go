package gossip

import (
	"bytes"
	"io"
	"log"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/memnet"
)

// What we send straight and over links is, to the byte, what serf would.
func TestUserMessageIsSerfs(t *testing.T) {
	t.Parallel()
	conf := serf.DefaultConfig()
	conf.NodeName, conf.UserEventSizeLimit = "a", serf.UserEventSizeLimit
	conf.Logger = log.New(io.Discard, "", 0)
	conf.MemberlistConfig.Logger, conf.LogOutput, conf.MemberlistConfig.LogOutput = conf.Logger, nil, nil
	conf.MemberlistConfig.Transport = memnet.New(memnet.Config{}).Add("10.0.0.1:7946")
	s, err := serf.Create(conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Shutdown() })
	delegate := conf.MemberlistConfig.Delegate
	for _, m := range []Message{
		{Name: "kong", Payload: []byte(`{"type":"x"}`)},
		{Name: "kong", Payload: []byte(`{"type":"x"}`), CC: true},
		{Name: "", Payload: nil},
		{Name: "empty", Payload: []byte{}},
		{Name: "nil"},
		{Name: "bytes", Payload: []byte("\x00\xff\xc1\n")},
		{Name: strings.Repeat("ü", 40), Payload: []byte("long name")},
		{Name: "31 bytes", Payload: bytes.Repeat([]byte("x"), 31)},
		{Name: "32 bytes", Payload: bytes.Repeat([]byte("x"), 32)},
		{Name: "256 bytes", Payload: bytes.Repeat([]byte("x"), 256)},
		{Name: "large", Payload: bytes.Repeat([]byte("x"), 9000)},
	} {
		if err := s.UserEvent(m.Name, m.Payload, m.CC); err != nil {
			t.Fatal(err)
		}
		var want []byte
		for _, b := range delegate.GetBroadcasts(0, 1<<20) {
			var other Message
			if b[0] == userMessageType && other.Decode(b) == nil && other.LTime > m.LTime {
				want, m.LTime = b, other.LTime // the newest is this one
			}
		}
		got, err := m.Encode()
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q: encoded as %x, serf has %x (%v)", m.Name, got, want, err)
		}
		var back Message
		if err := back.Decode(want); err != nil {
			t.Errorf("%q: %v", m.Name, err)
		}
		if diff := cmp.Diff(m.Event(), back.Event()); diff != "" {
			t.Errorf("%q decoded (-want +got):\n%s", m.Name, diff)
		}
	}
}

// What is decoded stays when the bytes that it came in are used again.
func TestUserMessageIsACopy(t *testing.T) {
	t.Parallel()
	m := Message{LTime: 1, Name: "kong", Payload: []byte("payload")}
	raw, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var got Message
	if err := got.Decode(raw); err != nil {
		t.Fatal(err)
	}
	clear(raw)
	if diff := cmp.Diff(m, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Whatever comes, decoding neither panics nor takes memory that the message
// does not have; and what it gives is encoded to what gives the same again.
func FuzzUserMessage(f *testing.F) {
	m := Message{LTime: 1 << 40, Name: "kong", Payload: []byte("payload"), CC: true}
	raw, err := m.Encode()
	if err != nil {
		f.Fatal(err)
	}
	for n := range raw {
		f.Add(raw[:n])
	}
	f.Add(raw)
	f.Add([]byte("\x03\xdf\xff\xff\xff\xff"))                        // a map that has 4 G entries
	f.Add([]byte("\x03\x81\xa7Payload\xdb\xff\xff\xff\xff"))         // 4 GiB of text
	f.Add([]byte("\x03\x81\xa7Payload\xdd\xff\xff\xff\xff"))         // as many numbers
	f.Add(append([]byte{3}, bytes.Repeat([]byte{0x91}, 100_000)...)) // nested
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m Message
		if m.Decode(raw) != nil {
			return
		}
		again, err := m.Encode()
		if err != nil {
			t.Fatalf("%+v: %v", m, err)
		}
		var back Message
		if err := back.Decode(again); err != nil {
			t.Fatalf("%x: %v", again, err)
		}
		if diff := cmp.Diff(m, back); diff != "" {
			t.Errorf("(-first +again):\n%s", diff)
		}
	})
}

// The functions of this package read and write what serf's codec does.
func FuzzUserMessageIsTheCodecs(f *testing.F) {
	for _, ltime := range []uint64{0, 127, 128, 255, 256, 1<<16 - 1, 1 << 16, 1<<32 - 1, 1 << 32, 1<<64 - 1} {
		for _, n := range []int{0, 31, 32, 255, 256, 1<<16 - 1, 1 << 16} {
			m := Message{LTime: serf.LamportTime(ltime), Name: strings.Repeat("n", n), Payload: make([]byte, n), CC: n%2 == 0}
			raw, err := m.Encode()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(raw)
		}
	}
	f.Add([]byte("\x03\x84\xa2CC\xc2\xa5LTime\x05\xa4Name\xd9\x01n\xa7Payload\xd9\x02ppmore"))
	f.Add([]byte("\x03\x84\xa2CC\xc3\xa5LTime\xcf\x00\x00\x00\x00\x00\x00\x00\x05\xa4Name\xdb\x00\x00\x00\x01n\xa7Payload\xc0"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var own, codecs Message
		var buf bytes.Buffer
		if own.read(raw) {
			if err := codec.NewDecoderBytes(raw[1:], &userMessageFormat).Decode(&codecs); err != nil {
				t.Fatalf("read %+v, and the codec says: %v", own, err)
			}
			if diff := cmp.Diff(codecs, own); diff != "" {
				t.Fatalf("(-codec +own):\n%s", diff)
			}
		} else if own.Decode(raw) != nil {
			return
		}
		buf.WriteByte(userMessageType)
		if err := codec.NewEncoder(&buf, &userMessageFormat).Encode(&own); err != nil {
			t.Fatal(err)
		}
		b, err := own.Encode()
		if err != nil || !bytes.Equal(b, buf.Bytes()) {
			t.Fatalf("encoded as %x, the codec has %x (%v)", b, buf.Bytes(), err)
		}
		if !(&Message{}).read(b) {
			t.Fatalf("what serf writes is left to the codec: %x", b)
		}
	})
}
