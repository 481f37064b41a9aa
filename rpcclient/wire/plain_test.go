package wire

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-msgpack/v2/codec"
)

// plainMessages are those that readPlain reads.
var plainMessages = []any{RequestHeader{}, EventRequest{}, ResponseHeader{}}

// FuzzPlain holds the quick reading to the codec's, and the quick writing, too. What is
// read without the codec is what the codec reads of the same bytes, and no more of them.
func FuzzPlain(f *testing.F) {
	for i, m := range []any{
		RequestHeader{Event, 7}, RequestHeader{"stats", 1 << 40}, RequestHeader{Seq: 200}, RequestHeader{"event", 70_000},
		EventRequest{"kong", []byte("payload"), true}, EventRequest{"", bytes.Repeat([]byte("x"), 300), false}, EventRequest{Name: "none"},
		EventRequest{"kong", []byte{}, false}, ResponseHeader{}, ResponseHeader{Seq: 1 << 20, Error: "failed"},
		ResponseHeader{1, "", "a warning that is longer than 32 bytes are", "5-0123456789abcdef", "127.0.0.1:7380"},
	} {
		b := byCodec(f, m)
		f.Add(byte(i), b)
		for i := range plainMessages {
			f.Add(byte(i), b)
			f.Add(byte(i), append(b, 1))
			f.Add(byte(i), b[:len(b)-1])
		}
	}
	for _, odd := range []string{
		"\x82\xa7Command\xd9\x05event\xa3Seq\x01",        // serf never writes a text this way
		"\x82\xa7Command\xc4\x05event\xa3Seq\x01",        // bytes
		"\x82\xa3Seq\xce\x00\x00\x00\x01\xa7Command\xa0", // in another order
		"\x82\xa3Seq\x01\xa3Seq\x02",
		"\x81\xa3Seq\x01", "\x80", "\x82\xa7Command\xc0\xa3Seq\xc0", "\x82\xa7Command\xa1x\xa3Seq\xff",
		"\x82\xa7Command\xa1x\xa3Seq\xd0\x05", "\x82\xa3seq\x01\xa7command\xa1x", "\xde\x00\x01\xa3Seq\x01",
		"\x83\xa4Name\xa1x\xa7Payload\xc0\xa8Coalesce\xc2", "\x83\xa4Name\xa1x\xa7Payload\xa1p\xa8Coalesce\x01",
	} {
		for i := range plainMessages {
			f.Add(byte(i), []byte(odd))
		}
	}
	f.Fuzz(func(t *testing.T, kind byte, data []byte) {
		like := reflect.TypeOf(plainMessages[int(kind)%len(plainMessages)])
		got, want := reflect.New(like), reflect.New(like)
		n := readPlain(data, got.Interface())
		if n == 0 {
			if !got.Elem().IsZero() {
				t.Fatalf("left to the codec with %+v", got)
			}
			return
		}
		r := NewReader(bytes.NewReader(data), DefaultLimits)
		if err := r.value(0); err != nil || len(r.buf) != n {
			t.Fatalf("%d bytes are a plain %s, of a value of %d: %v", n, like, len(r.buf), err)
		}
		if r.items > maxPlainItems {
			t.Fatalf("a plain %s of %d items", like, r.items)
		}
		if err := codec.NewDecoderBytes(data[:n], handle).Decode(want.Interface()); err != nil {
			t.Fatalf("read as %+v, and the codec: %v", got, err)
		}
		if diff := cmp.Diff(want.Interface(), got.Interface()); diff != "" {
			t.Fatalf("(-codec +plain):\n%s", diff)
		}
		written, ok := appendPlain(nil, got.Elem().Interface())
		if want := byCodec(t, got.Elem().Interface()); !ok || !bytes.Equal(written, want) {
			t.Fatalf("written as %q, %v; by the codec as %q", written, ok, want)
		}
	})
}

func byCodec(t testing.TB, v any) (b []byte) {
	t.Helper()
	if err := codec.NewEncoderBytes(&b, handle).Encode(v); err != nil {
		t.Fatal(err)
	}
	return b
}

// A plain message takes no more than what is kept of it.
func TestPlainMessagesAllocate(t *testing.T) {
	var conn bytes.Buffer
	w, r := NewWriter(&conn), NewReader(&conn, DefaultLimits)
	var header, body any = RequestHeader{Event, 1 << 20}, EventRequest{"kong", make([]byte, 200), false}
	var h RequestHeader
	var e EventRequest
	for range 10 { // until the buffers have their size
		if err := w.Write(header, body); err != nil {
			t.Fatal(err)
		}
		if err := r.Read(&h); err != nil {
			t.Fatal(err)
		}
		if err := r.Read(&e); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(1000, func() { w.Write(header, body) }); n > 0.1 { // the buffer grows
		t.Errorf("an event is written with %v allocations", n)
	}
	if n := testing.AllocsPerRun(500, func() { r.Read(&h); r.Read(&e) }); n > 2 {
		t.Errorf("an event is read with %v allocations, want those of its name and payload", n)
	}
}
