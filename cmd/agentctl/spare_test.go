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
	for look := range 2 * secondLook {
		if got, want := s.due(), look == secondLook-1; got != want {
			metrics.Read(s.samples)
			t.Errorf("look %d after memory was given back: to spare %v, want %v: %v", look, got, want, s.samples)
		}
	}
}
