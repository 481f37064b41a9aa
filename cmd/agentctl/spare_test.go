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

// What a collection in the middle of a burst found in use may be garbage since, and no
// figure says so.
func TestMemoryInUseInABurst(t *testing.T) {
	debug.FreeOSMemory()
	s := newSpareMemory()
	garbage = make([]byte, 64<<20)
	debug.FreeOSMemory() // in the burst: all of it is in use
	if s.due() {
		t.Error("memory is given back in the middle of a burst")
	}
	garbage = nil
	for look := range 3 * secondLook {
		if got, want := s.due(), look == 0 || look == secondLook; got != want {
			t.Errorf("look %d after a burst: to spare %v, want %v", look, got, want)
		}
	}
}
