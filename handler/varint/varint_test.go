package varint

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fields are one of each kind.
type fields struct {
	U    uint64
	I    int64
	F    uint64
	B    bool
	Byte []byte
	Text string
	T    time.Time
	List []uint64
}

const limit = 8 // of Byte, Text and List

func (f *fields) encode() []byte {
	var e Encoder
	e.Uint(f.U)
	e.int(f.I)
	e.Fixed(f.F)
	e.Bool(f.B)
	e.Bytes(f.Byte)
	e.Text(f.Text)
	e.Time(f.T)
	e.Uint(uint64(len(f.List)))
	for _, v := range f.List {
		e.Uint(v)
	}
	return e
}

func decode(b []byte) (f fields, err error) {
	d := NewDecoder(b)
	f = fields{U: d.Uint(), I: d.int(), F: d.Fixed(), B: d.Bool(), Byte: d.Bytes(limit), Text: d.Text(limit), T: d.Time()}
	f.List = List(&d, limit, d.Uint)
	return f, d.End()
}

var some = []fields{
	{Byte: []byte{}},
	{U: math.MaxUint64, I: math.MinInt64, F: math.MaxUint64, B: true, Byte: []byte("12345678"), Text: "abcdefgh",
		T: time.Unix(1<<40, 999_999_999), List: []uint64{1, 2, 3, 4, 5, 6, 7, 1 << 63}},
	{U: 300, I: -1, Byte: []byte{0}, Text: "ü", T: time.Unix(-5, 0), List: []uint64{0}},
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	for _, want := range some {
		got, err := decode(want.encode())
		if err != nil {
			t.Errorf("%+v: %v", want, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	zero := fields{Byte: []byte{}}
	if got, _ := decode(zero.encode()); !got.T.IsZero() {
		t.Errorf("the zero time became %v", got.T)
	}
}

// The bytes are in journals and on the network of other versions.
func TestTheBytesStayAsTheyAre(t *testing.T) {
	f := fields{U: 300, I: -2, F: 5, B: true, Byte: []byte{9}, Text: "ab", T: time.Unix(1, 2), List: []uint64{7}}
	want := []byte{0xac, 2, 3, 0, 0, 0, 0, 0, 0, 0, 5, 1, 1, 9, 2, 'a', 'b', 2, 2, 1, 7}
	if got := f.encode(); !bytes.Equal(got, want) {
		t.Errorf("% x, want % x", got, want)
	}
}

func TestACutMessageFails(t *testing.T) {
	for _, f := range some {
		b := f.encode()
		for n := range b {
			if _, err := decode(b[:n]); err == nil {
				t.Errorf("%d of %d bytes are taken", n, len(b))
			}
		}
		if _, err := decode(append(b, 0)); err == nil || err.Error() != "1 bytes too many" {
			t.Errorf("a byte too many: %v", err)
		}
	}
}

// After the first failure all is zero, and the failure stays.
func TestFailuresStay(t *testing.T) {
	d := NewDecoder([]byte{9, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1})
	d.Text(limit)
	first := d.Err()
	if first == nil {
		t.Fatal("a text over its limit is taken")
	}
	d.Fail("another")
	if d.Uint() != 0 || d.int() != 0 || d.Fixed() != 0 || d.Byte() != 0 || d.Bool() || d.Bytes(limit) != nil || d.Rest() != nil && len(d.Rest()) > 0 ||
		d.Text(limit) != "" || !d.Time().IsZero() || d.Count(limit) != 0 || List(&d, limit, d.Uint) != nil || d.UpTo(limit) != 0 {
		t.Error("something was read after a failure")
	}
	if d.Err() != first || d.End() != first {
		t.Errorf("the failure became %v", d.Err())
	}
}

func TestLimits(t *testing.T) {
	nine := append([]byte{9}, make([]byte, 9)...)
	for name, tt := range map[string]struct {
		b    []byte
		read func(*Decoder)
		want string
	}{
		"bytes":      {nine, func(d *Decoder) { d.Bytes(8) }, "a field of 9 where 8 are allowed"},
		"text":       {nine, func(d *Decoder) { d.Text(8) }, "a field of 9 where 8 are allowed"},
		"count":      {nine, func(d *Decoder) { d.Count(8) }, "a list of 9 where 8 are allowed"},
		"number":     {nine, func(d *Decoder) { d.UpTo(8) }, "a number of 9 where 8 are allowed"},
		"negative":   {nine, func(d *Decoder) { d.UpTo(-1) }, "a number of 9 where -1 are allowed"},
		"take":       {nine, func(d *Decoder) { d.Take(-1) }, "a field is cut off"},
		"huge":       {number(math.MaxUint64), func(d *Decoder) { d.Bytes(NoLimit) }, fmt.Sprintf("a field of %d where %d are allowed", uint64(math.MaxUint64), NoLimit)},
		"announced":  {number(1 << 40), func(d *Decoder) { d.Bytes(NoLimit) }, "a field is cut off"},
		"short list": {number(1 << 40), func(d *Decoder) { d.Count(NoLimit) }, "a list is cut off"},
		"boolean":    {[]byte{2}, func(d *Decoder) { d.Bool() }, "a boolean is 2"},
		"nanosecond": {append([]byte{0}, number(1e9)...), func(d *Decoder) { d.Time() }, "a time has 1000000000 nanoseconds"},
		"too large":  {bytes.Repeat([]byte{0xff}, 11), func(d *Decoder) { d.Uint() }, "a number is cut off or too large"},
	} {
		d := NewDecoder(tt.b)
		if tt.read(&d); d.Err() == nil || d.Err().Error() != tt.want {
			t.Errorf("%s: %v, want %q", name, d.Err(), tt.want)
		}
	}
}

func number(v uint64) []byte {
	var e Encoder
	e.Uint(v)
	return e
}

// What a caller appends to a field does not change the message.
func TestFieldsCannotGrowIntoTheMessage(t *testing.T) {
	d := NewDecoder([]byte{1, 'a', 1, 'b'})
	_ = append(d.Bytes(limit), 9)
	if got := d.Text(limit); got != "b" {
		t.Errorf("the next field is %q", got)
	}
}

func TestReadBytes(t *testing.T) {
	long := strings.Repeat("x", 200_000)
	r := bufio.NewReader(bytes.NewReader(AppendBytes(AppendBytes(AppendBytes(nil, ""), long), "abc")))
	for _, want := range []string{"", long} {
		if got, err := ReadBytes(r, len(long)); err != nil || string(got) != want {
			t.Errorf("%d bytes, want %d: %v", len(got), len(want), err)
		}
	}
	_, err := ReadBytes(r, 2)
	if e, ok := errors.AsType[*LengthError](err); !ok || e.length != 3 || e.limit != 2 {
		t.Errorf("over the limit: %v", err)
	}
	if _, err := ReadBytes(bufio.NewReader(strings.NewReader("")), 9); err != io.EOF {
		t.Errorf("of nothing: %v", err)
	}
	for _, cut := range []string{"\xff", "\x03", "\x03ab"} {
		if _, err := ReadBytes(bufio.NewReader(strings.NewReader(cut)), 9); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("of %q: %v", cut, err)
		}
	}
}

// What is taken says the same when it is written and taken again, and that is
// never longer: no message stands for more than its bytes.
func FuzzDecoder(f *testing.F) {
	for _, s := range some {
		f.Add(s.encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		first, err := decode(b)
		if !bytes.Equal(b, before) {
			t.Fatal("the message was changed")
		}
		if len(first.Byte) > limit || len(first.Text) > limit || len(first.List) > limit {
			t.Fatalf("beyond the limits: %+v", first)
		}
		if err != nil {
			return
		}
		again := first.encode()
		if len(again) > len(b) {
			t.Fatalf("%d bytes became %d", len(b), len(again))
		}
		second, err := decode(again)
		if diff := cmp.Diff(first, second); err != nil || diff != "" {
			t.Fatalf("%v: %s", err, diff)
		}
	})
}

// A stream is taken as the same bytes at once are.
func FuzzReadBytes(f *testing.F) {
	f.Add([]byte("\x03abc"), 8)
	f.Add([]byte("\x09123456789"), 8)
	f.Fuzz(func(t *testing.T, b []byte, limit int) {
		d := NewDecoder(b)
		want := d.Bytes(limit)
		got, err := ReadBytes(bufio.NewReader(bytes.NewReader(b)), limit)
		if (err == nil) != (d.Err() == nil) || err == nil && !bytes.Equal(got, want) {
			t.Fatalf("%q, %v; at once %q, %v", got, err, want, d.Err())
		}
	})
}
