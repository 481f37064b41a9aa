//go:build !race && !386 && !s390x

package socket

import "testing"

// Package syscall, which stands in with the race detector, allocates.
func TestPacketsDoNotAllocate(t *testing.T) {
	s, self := packets(t, "127.0.0.1:0")
	p := make([]byte, 100)
	if n := testing.AllocsPerRun(100, func() {
		s.WriteToUDPAddrPort(p, self)
		s.ReadFromUDPAddrPort(p)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
