package wire

import (
	"encoding/binary"
	"math"
)

// The codec works by reflection, and takes several times as long as these functions do for
// the messages of an event: two headers and a body. They read and write such a message as
// serf's clients and agents do, byte for byte as the codec would, and leave any other form
// of it to the codec. A fuzz test holds them to that.

// The type bytes of msgpack that those messages have.
const (
	fixMap   = 0x80
	fixText  = 0xa0
	typNo    = 0xc2
	typYes   = 0xc3
	typBin8  = 0xc4
	typUint8 = 0xcc
	typText8 = 0xd9
)

// readPlain reads a value that is there as a whole, and tells how many bytes it has. It is
// 0 for anything that the codec has to read: then v is as it was.
func readPlain(b []byte, v any) int {
	d := plain{rest: b}
	switch v := v.(type) {
	case *RequestHeader:
		var h RequestHeader
		for n := d.fields(); n > 0; n-- {
			switch string(d.text()) {
			case "Command":
				if name := d.text(); string(name) == string(Event) {
					h.Command = Event
				} else {
					h.Command = Command(name)
				}
			case "Seq":
				h.Seq = d.uint()
			default:
				d.odd = true
			}
		}
		if d.whole(2) {
			*v = h
		}
	case *EventRequest:
		var e EventRequest
		for n := d.fields(); n > 0; n-- {
			switch string(d.text()) {
			case "Name":
				e.Name = string(d.text())
			case "Payload":
				e.Payload = append([]byte{}, d.text()...)
			case "Coalesce":
				e.Coalesce = d.bool()
			default:
				d.odd = true
			}
		}
		if d.whole(3) {
			*v = e
		}
	case *ResponseHeader:
		var h ResponseHeader
		for n := d.fields(); n > 0; n-- {
			switch string(d.text()) {
			case "Seq":
				h.Seq = d.uint()
			case "Error":
				h.Error = string(d.text())
			case "Warning":
				h.Warning = string(d.text())
			case "ID":
				h.ID = string(d.text())
			case "HTTPAddr":
				h.HTTPAddr = string(d.text())
			default:
				d.odd = true
			}
		}
		if d.whole(2) {
			*v = h
		}
	default:
		d.odd = true
	}
	if d.odd {
		return 0
	}
	return len(b) - len(d.rest)
}

// maxPlainItems is how many values a plain message has at most, in the words of [Limits].
const maxPlainItems = 1 + 2*5

// plain is what is left of a plain message. Once it is odd, what it reads is nothing.
type plain struct {
	rest []byte
	n    int
	odd  bool // it is not plain, or has not come as a whole
}

// fields is how many fields the message has.
func (d *plain) fields() int {
	if t := d.byte(); t&0xf0 != fixMap || t&0x0f > maxPlainItems/2 {
		d.odd = true
	} else {
		d.n = int(t & 0x0f)
	}
	return d.n
}

// whole tells whether all of the message has been read, which has its first fields always.
// A field that lacks keeps its value with the codec, and one that comes twice has two.
func (d *plain) whole(fields int) bool {
	d.odd = d.odd || d.n < fields
	return !d.odd
}

func (d *plain) take(n uint64) (b []byte) {
	if d.odd = d.odd || n > uint64(len(d.rest)); d.odd {
		return nil
	}
	b, d.rest = d.rest[:n], d.rest[n:]
	return b
}

func (d *plain) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *plain) bool() bool {
	t := d.byte()
	d.odd = d.odd || t != typNo && t != typYes
	return t == typYes
}

// number is a number of n bytes.
func (d *plain) number(n int) (v uint64) {
	for _, c := range d.take(uint64(n)) {
		v = v<<8 | uint64(c)
	}
	return v
}

func (d *plain) uint() uint64 {
	switch t := d.byte(); {
	case t <= math.MaxInt8:
		return uint64(t)
	case t >= typUint8 && t < typUint8+4:
		return d.number(1 << (t - typUint8))
	}
	d.odd = true
	return 0
}

// text is a text or bytes: the codec takes one for the other.
func (d *plain) text() []byte {
	switch t := d.byte(); {
	case t&0xe0 == fixText:
		return d.take(uint64(t & 0x1f))
	case t >= typBin8 && t < typBin8+3:
		return d.take(d.number(1 << (t - typBin8)))
	case t >= typText8 && t < typText8+3:
		return d.take(d.number(1 << (t - typText8)))
	}
	d.odd = true
	return nil
}

// appendPlain appends a value, or returns false for one that the codec has to write.
func appendPlain(b []byte, v any) ([]byte, bool) {
	switch v := v.(type) {
	case RequestHeader:
		b = appendText(append(b, fixMap|2), "Command")
		b = appendText(appendText(b, string(v.Command)), "Seq")
		return appendUint(b, v.Seq), true
	case EventRequest:
		if v.Payload == nil {
			return b, false
		}
		b = appendText(append(b, fixMap|3), "Coalesce")
		if v.Coalesce {
			b = append(b, typYes)
		} else {
			b = append(b, typNo)
		}
		b = appendText(appendText(appendText(b, "Name"), v.Name), "Payload")
		return append(appendLength(b, typBin8, len(v.Payload)), v.Payload...), true
	case ResponseHeader:
		return AppendResponse(b, &v), true
	}
	return b, false
}

// AppendResponse appends the header of an answer as a [Writer] writes it.
func AppendResponse(b []byte, h *ResponseHeader) []byte {
	at := len(b)
	b = appendText(appendText(append(b, fixMap|2), "Error"), h.Error)
	more := func(name, value string) {
		if value != "" {
			b = appendText(appendText(b, name), value)
			b[at]++
		}
	}
	more("HTTPAddr", h.HTTPAddr)
	more("ID", h.ID)
	b = appendUint(appendText(b, "Seq"), h.Seq)
	more("Warning", h.Warning)
	return b
}

func appendText(b []byte, s string) []byte {
	if len(s) < 32 {
		return append(append(b, fixText|byte(len(s))), s...)
	}
	return append(appendLength(b, typText8, len(s)), s...)
}

// appendLength appends a length behind the type for lengths of its size, of which the one
// for 8 bits is given.
func appendLength(b []byte, typ byte, n int) []byte {
	switch {
	case n <= math.MaxUint8:
		return append(b, typ, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, typ+1), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(b, typ+2), uint32(n))
}

func appendUint(b []byte, v uint64) []byte {
	switch {
	case v <= math.MaxInt8:
		return append(b, byte(v))
	case v <= math.MaxUint8:
		return append(b, typUint8, byte(v))
	case v <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, typUint8+1), uint16(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, typUint8+2), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(b, typUint8+3), v)
}
