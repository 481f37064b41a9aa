package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// values are one or more of each kind of msgpack value.
var values = []string{
	"00", "7f", "e0", "ff", "c0", "c2", "c3",
	"cc ff", "d0 80", "cd ffff", "d1 8000", "ce ffffffff", "d2 80000000",
	"cf ffffffffffffffff", "d3 8000000000000000", "ca 3f800000", "cb 3ff0000000000000",
	"a0", "a3 616263", "d9 03 616263", "da 0003 616263", "db 00000003 616263",
	"c4 00", "c4 02 00ff", "c5 0002 00ff", "c6 00000002 00ff",
	"d4 01 00", "d5 01 0000", "d6 01 00000000", "d7 01 0000000000000000",
	"d8 01 00000000000000000000000000000000",
	"c7 01 05 00", "c8 0001 05 00", "c9 00000001 05 00", "c7 00 05",
	"90", "92 01 02", "dc 0002 01 02", "dd 00000002 01 a161",
	"80", "81 a161 01", "de 0001 a161 90", "df 00000001 a161 81a16202",
}

func TestReaderCutsValues(t *testing.T) {
	for _, s := range values {
		data := unhex(t, s)
		in := append(bytes.Clone(data), 0xc3) // what follows is the next value
		for name, src := range map[string]io.Reader{
			"whole": bytes.NewReader(in), "bytewise": iotest.OneByteReader(bytes.NewReader(in)),
		} {
			r := NewReader(src, DefaultLimits)
			if err := r.Read(nil); err != nil || !bytes.Equal(r.Value(), data) {
				t.Errorf("%s, %s: %x, %v", s, name, r.Value(), err)
			}
			var next bool
			if err := r.Read(&next); err != nil || !next {
				t.Errorf("%s, %s: the next value: %v %v", s, name, next, err)
			}
			if err := r.Read(&next); err != io.EOF {
				t.Errorf("%s, %s: at the end: %v", s, name, err)
			}
		}
		for n := 1; n < len(data); n++ {
			if err := NewReader(bytes.NewReader(data[:n]), DefaultLimits).Read(nil); err != io.ErrUnexpectedEOF {
				t.Errorf("the first %d bytes of %s: %v", n, s, err)
			}
		}
	}
}

func TestReaderErrors(t *testing.T) {
	small := Limits{Bytes: 20, Depth: 2, Items: 5}
	for _, tt := range []struct {
		name, in string
		limits   Limits
		want     error
	}{
		{"type byte that is never used", "c1", DefaultLimits, errMalformed},
		{"inside of an array", "92 01 c1", DefaultLimits, errMalformed},
		{"4 GiB", "db ffffffff 61", DefaultLimits, ErrLimit},
		{"1 GiB", "c6 40000000 61", Limits{Bytes: 1 << 31, Depth: 8, Items: 8}, ErrLimit},
		{"4 Gi items", "dd ffffffff", DefaultLimits, ErrLimit},
		{"4 Gi entries", "df ffffffff", DefaultLimits, ErrLimit},
		{"bytes: one too many", "b4 0000000000000000000000000000000000000000", small, ErrLimit},
		{"bytes: in pieces", "92 aa 00000000000000000000 aa", small, ErrLimit},
		{"depth: one too many", "91 91 91 01", small, ErrLimit},
		{"items: one too many", "95 01", small, ErrLimit},
		{"items: in pieces", "92 92 01 02 92 01 02", small, ErrLimit},
		{"items: entries", "83 01 01", small, ErrLimit},
		{"not a header", "93 01 02 03", DefaultLimits, errMalformed},
		{"another type", "82 a3536571 a3616263 a54572726f72 a0", DefaultLimits, errMalformed},
		{"a number that does not fit", "82 a3536571 ff a54572726f72 a0", DefaultLimits, errMalformed},
	} {
		var h ResponseHeader
		err := NewReader(bytes.NewReader(unhex(t, tt.in)), tt.limits).Read(&h)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	for _, s := range []string{ // the most that small allows
		"b3 00000000000000000000000000000000000000", "91 91 01", "94 01 02 03 04", "82 01 02 03 04",
	} {
		if err := NewReader(bytes.NewReader(unhex(t, s)), small).Read(nil); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	broken := errors.New("broken")
	r := NewReader(io.MultiReader(strings.NewReader("\xa5ab"), iotest.ErrReader(broken)), DefaultLimits)
	if err := r.Read(nil); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestSetLimits(t *testing.T) {
	r := NewReader(strings.NewReader("\xa3abc\xa3abc"), Limits{Bytes: 3, Depth: 1, Items: 1})
	r.SetLimits(Limits{Bytes: 4, Depth: 1, Items: 1})
	if err := r.Read(nil); err != nil {
		t.Error(err)
	}
	r.SetLimits(Limits{Bytes: 3, Depth: 1, Items: 1})
	if err := r.Read(nil); !errors.Is(err, ErrLimit) {
		t.Error(err)
	}
}

// TestDeclaredLengthTakesNoMemory has inputs of a few bytes that announce
// hundreds of megabytes, under limits that would allow them.
func TestDeclaredLengthTakesNoMemory(t *testing.T) {
	for _, s := range []string{
		"db ffffffff 61", "db 3fffffff 61", "c6 3fffffff 61", "c9 3fffffff 05 61",
		"dd 3fffffff 01 01", "df 1fffffff 01 01", "81 a161 db 3fffffff 61",
		"81 a7 4d656d62657273 dd 3fffffff 80",
	} {
		data := unhex(t, s)
		const runs = 20
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			var m MembersResponse
			if err := NewReader(bytes.NewReader(data), Limits{Bytes: 1 << 31, Depth: 8, Items: 1 << 31}).Read(&m); err == nil {
				t.Errorf("%s was read", s)
			}
		}
		runtime.ReadMemStats(&after)
		if per := (after.TotalAlloc - before.TotalAlloc) / runs; per > 128<<10 {
			t.Errorf("%s: %d bytes taken for %d", s, per, len(data))
		}
	}
}

// TestDecodedValuesAreTheirOwn: a later Read reuses the buffer.
func TestDecodedValuesAreTheirOwn(t *testing.T) {
	var buf bytes.Buffer
	w := NewWriter(&buf)
	first := UserEventRecord{Event: "user", Name: "first", Payload: []byte("payload of the first")}
	second := UserEventRecord{Event: "USER", Name: "SECOND", Payload: []byte("PAYLOAD OF THE SECOND")}
	if err := w.Write(first, second); err != nil {
		t.Fatal(err)
	}
	r := NewReader(&buf, DefaultLimits)
	var a, b UserEventRecord
	if err := errors.Join(r.Read(&a), r.Read(&b)); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]UserEventRecord{first, second}, []UserEventRecord{a, b}); d != "" {
		t.Error(d)
	}
}

func TestLargeBufferIsGivenBack(t *testing.T) {
	var buf bytes.Buffer
	if err := NewWriter(&buf).Write(make([]byte, 1<<20), true); err != nil {
		t.Fatal(err)
	}
	r := NewReader(&buf, DefaultLimits)
	if err := errors.Join(r.Read(nil), r.Read(nil)); err != nil {
		t.Fatal(err)
	}
	if c := cap(r.buf); c > 64<<10 {
		t.Errorf("a buffer of %d bytes is kept", c)
	}
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

func TestWriterErrors(t *testing.T) {
	broken := errors.New("broken")
	if err := NewWriter(brokenWriter{broken}).Write(ResponseHeader{}, nil); !errors.Is(err, broken) {
		t.Error(err)
	}
	if err := NewWriter(io.Discard).Write(ResponseHeader{}, complex(1, 2)); err == nil {
		t.Error("what has no encoding was encoded")
	}
	if err := NewWriter(io.Discard).Write(complex(1, 2), nil); err == nil {
		t.Error("what has no encoding was encoded")
	}
}
