package target

import "strings"

// maxHeaderValue bounds a header value that strangers choose, in bytes as sent.
// Gateways refuse requests whose headers pass a few KiB, and a long name must
// not get an event refused.
const maxHeaderValue = 1024

// headerValue makes a header value of any bytes. Bytes that are not printable
// ASCII become %XX, and so do "%" itself and blanks at either end, which receivers
// would take off. A value longer than 1,024 bytes is cut, never within a %XX.
func headerValue(s string) string {
	if len(s) <= maxHeaderValue && !needsEscape(s) {
		return s
	}
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c, edge := s[i], i == 0 || i == len(s)-1
		if plainByte(c, edge) {
			if b.Len()+1 > maxHeaderValue {
				break
			}
			b.WriteByte(c)
			continue
		}
		if b.Len()+3 > maxHeaderValue {
			break
		}
		b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&0xf]})
	}
	return b.String()
}

func needsEscape(s string) bool {
	for i := 0; i < len(s); i++ {
		if !plainByte(s[i], i == 0 || i == len(s)-1) {
			return true
		}
	}
	return false
}

func plainByte(c byte, edge bool) bool {
	return c > ' ' && c < 0x7f && c != '%' || c == ' ' && !edge
}
