package large

import (
	"bytes"
	"strings"
	"testing"

	"agentctl/handler"
)

func TestReferencesComeBack(t *testing.T) {
	long := strings.Repeat("n", MaxName)
	for _, want := range []Reference{
		Refer("kong", []byte("payload"), "node-1"),
		Refer("", nil, ""),
		Refer(long, make([]byte, MaxEvent-MaxName), strings.Repeat("o", maxOrigin)),
		Refer("\x00\xff", []byte("\xa7large\x01"), "ü"),
	} {
		b := want.Encode()
		got, err := Decode(b)
		if err != nil || got != want {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
		if len(b) > 1000 { // with all that serf adds it has to fit a packet of 1,400
			t.Errorf("a reference of %d bytes", len(b))
		}
		// None of it is superfluous, and nothing may follow.
		for n := range b {
			if _, err := Decode(b[:n]); err == nil {
				t.Errorf("%d of %d bytes are taken", n, len(b))
			}
		}
		if _, err := Decode(append(b, 0)); err == nil {
			t.Error("a byte too many is taken")
		}
	}
}

func TestWhatIsNoReference(t *testing.T) {
	ref := Refer("kong", []byte("payload"), "node-1")
	good := ref.Encode()
	later := bytes.Clone(good)
	later[len(magic)-1]++
	over := Reference{Name: "kong", Size: MaxEvent - 3}
	name := Reference{Name: strings.Repeat("n", MaxName+1)}
	origin := Reference{Origin: strings.Repeat("n", maxOrigin+1)}
	for what, b := range map[string][]byte{
		"nothing": nil, "a usual payload": []byte(`{"type":"ENTITY_UPDATED","collection":"apis","entity":{"id":"1"}}`),
		"another version": later, "too large": over.Encode(), "a long name": name.Encode(), "a long node": origin.Encode(),
		"a size in two bytes": bytes.Replace(good, []byte("\x07\x04kong"), []byte("\x87\x00\x04kong"), 1),
	} {
		if got, err := Decode(b); err == nil || got != (Reference{}) {
			t.Errorf("%s is taken for %+v", what, got)
		} else if says := strings.Contains(err.Error(), "same version of agentctl"); says != (what == "another version") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, other := range []struct{ name, payload string }{{"kong", "payloaD"}, {"kong", "payloa"}, {"konG", "payload"}, {"kongp", "ayload"}} {
		if ref.Is(other.name, []byte(other.payload)) {
			t.Errorf("%+v is the event of the reference", other)
		}
	}
	if !ref.Is("kong", []byte("payload")) {
		t.Error("the event is not that of its reference")
	}
}

// The ID that a reference gives is the one that every node gives the event.
func TestIDOfAReference(t *testing.T) {
	payload := []byte("payload")
	w := Wanted{Reference: Refer("kong", payload, "node-1"), LTime: 7}
	if want := handler.NewUser(7, "kong", payload, anyTime).ID; w.ID() != want {
		t.Errorf("%s, want %s", w.ID(), want)
	}
}

func TestFrames(t *testing.T) {
	for _, c := range []struct{ message, payload string }{
		{"message", "payload"}, {"", ""}, {strings.Repeat("m", 1000), strings.Repeat("p", MaxEvent)},
	} {
		b := Pack([]byte(c.message), []byte(c.payload))
		m, p, err := Unpack(b)
		if err != nil || string(m) != c.message || string(p) != c.payload || !Packed(b) || len(b) > MaxFrame {
			t.Errorf("%d and %d bytes: %d and %d came back of %d, %v", len(c.message), len(c.payload), len(m), len(p), len(b), err)
		}
	}
	for _, b := range []string{"", "\xa1", "\xa1\x01", "\xa1\x80", "\x03\x00", "\xa1\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"} {
		if m, p, err := Unpack([]byte(b)); err == nil {
			t.Errorf("%q is taken for %q and %q", b, m, p)
		}
	}
}

// FuzzReference: what is taken for a reference is within the limits, and the
// only text of that reference.
func FuzzReference(f *testing.F) {
	ref := Refer("kong", []byte("payload"), "node-1")
	f.Add(ref.Encode())
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Decode(data)
		if err != nil {
			if r != (Reference{}) {
				t.Errorf("%+v with the error %v", r, err)
			}
			return
		}
		if len(r.Name) > MaxName || len(r.Origin) > maxOrigin || r.Size < 0 || len(r.Name)+r.Size > MaxEvent {
			t.Errorf("over the limits: %+v", r)
		}
		if again := r.Encode(); !bytes.Equal(again, data) {
			t.Errorf("%x is %+v, which is %x", data, r, again)
		}
	})
}

// FuzzMessages: frames, requests and answers that are taken are what was put
// into them, and nothing makes them panic.
func FuzzMessages(f *testing.F) {
	f.Add(Pack([]byte("message"), []byte("payload")))
	f.Add(encodeRequest("1-0123456789abcdef"))
	f.Add(encodeAnswer([]byte("payload"), true))
	f.Add(encodeAnswer(nil, false))
	f.Fuzz(func(t *testing.T, data []byte) {
		if m, p, err := Unpack(data); err == nil {
			m2, p2, err := Unpack(Pack(m, p))
			if err != nil || !bytes.Equal(m, m2) || !bytes.Equal(p, p2) || len(m)+len(p) >= len(data) {
				t.Errorf("%x: %x and %x, then %x and %x, %v", data, m, p, m2, p2, err)
			}
		}
		if id, err := decodeRequest(data); err == nil && (!bytes.Equal(encodeRequest(id), data) || id == "" || len(id) > maxID) {
			t.Errorf("%x asks for %q", data, id)
		}
		if p, ok, err := decodeAnswer(data); err == nil && !bytes.Equal(encodeAnswer(p, ok), data) {
			t.Errorf("%x answers %x, %v", data, p, ok)
		}
	})
}
