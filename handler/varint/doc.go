// Package varint writes and reads the fields of binary messages and values.
//
// A number is a varint as in encoding/binary. Bytes and a text are their length
// and then as many bytes. A list is its length and then its elements. A boolean
// is one byte, 0 or 1. A time is its seconds, signed, and its nanoseconds. There
// are no names and no types: both sides know the order of the fields.
//
// An [Encoder] is the message so far, and never fails. A [Decoder] takes a
// message apart that came from anywhere:
//
//   - It never panics, and never reads beyond the message.
//   - It takes memory for what is there, not for what is announced: every
//     length is checked against a limit and against the bytes that are left.
//   - Its first failure stays. Every later read returns a zero value, so that
//     the caller reads all fields and then asks End or Err once.
//
// A number may be written in more bytes than it needs, and is read all the
// same. A caller that needs one form only compares with what it would write.
package varint
