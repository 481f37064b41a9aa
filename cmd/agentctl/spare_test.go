package main

import (
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

var garbage []byte

// After a burst the memory that it took is given back, once; and not while it goes on.
func TestMemoryToSpare(t *testing.T) {
	debug.FreeOSMemory()
	s := newSpareMemory()
	s.due()
	if s.due() {
		t.Fatal("memory is to spare after all of it was given back")
	}
	for range 4 {
		garbage = make([]byte, 16<<20)
	}
	garbage = nil
	if s.due() {
		t.Error("memory is given back in the middle of a burst")
	}
	if !s.due() {
		t.Fatal("nothing is to spare after a burst")
	}
	debug.FreeOSMemory()
	if s.due() {
		metrics.Read(s.samples)
		t.Errorf("memory is to spare after it was given back: %v", s.samples)
	}
}
