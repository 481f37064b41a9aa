package wire

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzReader feeds the Reader anything. It must not panic nor take more memory
// than what came and a step; a value that it takes is exactly the bytes that
// it took; and what decodes also encodes and decodes again to the same.
func FuzzReader(f *testing.F) {
	for _, s := range values {
		f.Add(byte(0), unhex(f, s))
	}
	for i, m := range messages {
		if b := encode(f, m); len(b) < 1<<10 {
			f.Add(byte(i), b)
		}
	}
	limits := Limits{Bytes: 1 << 20, Depth: 8, Items: 1 << 12}
	f.Fuzz(func(t *testing.T, kind byte, data []byte) {
		r := NewReader(iotest.HalfReader(bytes.NewReader(data)), limits)
		err := r.Read(nil)
		if most := 2*len(data) + 64<<10; cap(r.buf) > most {
			t.Fatalf("%d bytes of memory for an input of %d", cap(r.buf), len(data))
		}
		if err == io.EOF && len(data) > 0 {
			t.Fatal("EOF inside a value")
		}
		if err != nil {
			return
		}
		n := len(r.Value())
		if n == 0 || n > len(data) || !bytes.Equal(r.Value(), data[:n]) {
			t.Fatalf("the value is %x of %x", r.Value(), data)
		}
		if err := NewReader(bytes.NewReader(data[:n-1]), limits).Read(nil); n > 1 && err != io.ErrUnexpectedEOF {
			t.Fatalf("without its last byte: %v", err)
		}

		like := reflect.TypeOf(messages[int(kind)%len(messages)])
		first, second := reflect.New(like).Interface(), reflect.New(like).Interface()
		in := bytes.NewReader(data)
		if err := NewReader(in, limits).Read(first); err != nil {
			if !errors.Is(err, errMalformed) {
				t.Fatalf("taken as a value, but not as %s: %v", like, err)
			}
			return
		}
		if err := NewReader(bytes.NewReader(encode(t, first)), DefaultLimits).Read(second); err != nil {
			t.Fatalf("%#v does not decode again: %v", first, err)
		}
		if d := cmp.Diff(first, second, cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
	})
}
