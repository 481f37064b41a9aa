// Package varint writes and reads the fields of binary messages and values.
//
// There are no names and no types: both sides know the order of the fields.
//
//   - A number is a varint as in encoding/binary.
//   - Bytes and a text are their length and then as many bytes.
//   - A list is its length and then its elements.
//   - A boolean is one byte, 0 or 1.
//   - A time is its seconds, signed, and its nanoseconds.
//
// An [Encoder] is the message so far, and never fails. A [Decoder] takes apart a
// message of any origin:
//
//   - It never panics, and never reads beyond the message.
//   - It takes memory only for bytes that are there. It checks every announced
//     length against a limit and against the bytes that are left.
//   - Its first failure stays. Every later read returns a zero value, so the caller
//     reads all fields and then asks End or Err once.
//
// A Decoder also reads a number that takes more bytes than it needs. A caller that
// allows only one form encodes the value again, and compares.
package varint
