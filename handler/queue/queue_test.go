package queue

import (
	"testing"

	"pgregory.net/rapid"
)

// A Queue behaves as a slice does, within its limits.
func TestQueueModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most, mostBytes := rapid.IntRange(1, 200).Draw(t, "most"), rapid.IntRange(0, 400).Draw(t, "bytes")
		q := New[int](most, mostBytes)
		type element struct{ v, size int }
		var model []element
		next, bytes := 0, 0
		size := rapid.IntRange(0, 12)
		draw := func(t *rapid.T) element {
			next++
			return element{next, size.Draw(t, "size")}
		}
		add := func(e element) {
			model = append(model, e)
			bytes += e.size
		}
		pop := func(t *rapid.T) {
			v, ok := q.Pop()
			if ok != (len(model) > 0) {
				t.Fatalf("Pop tells %v of %d elements", ok, len(model))
			}
			if ok {
				if v != model[0].v {
					t.Fatalf("popped %d, want %d", v, model[0].v)
				}
				bytes -= model[0].size
				model = model[1:]
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				for range rapid.IntRange(1, 100).Draw(t, "times") {
					e := draw(t)
					fits := len(model) < most && (len(model) == 0 || bytes+e.size <= mostBytes)
					if q.Push(e.v, e.size) != fits {
						t.Fatalf("%d elements of %d bytes: an element of %d was not treated as fits=%v", len(model), bytes, e.size, fits)
					}
					if fits {
						add(e)
					}
				}
			},
			"force": func(t *rapid.T) {
				e := draw(t)
				q.Force(e.v, e.size)
				add(e)
			},
			"pop": pop,
			"pop many": func(t *rapid.T) {
				for range rapid.IntRange(1, 150).Draw(t, "times") {
					pop(t)
				}
			},
			"set": func(t *rapid.T) {
				if len(model) == 0 {
					t.Skip("empty")
				}
				i, e := rapid.IntRange(0, len(model)-1).Draw(t, "i"), draw(t)
				q.Set(i, e.v, e.size)
				bytes += e.size - model[i].size
				model[i] = e
			},
			"clear": func(t *rapid.T) {
				if n := q.Clear(); n != len(model) {
					t.Fatalf("cleared %d, want %d", n, len(model))
				}
				model, bytes = nil, 0
			},
			"": func(t *rapid.T) {
				if q.Len() != len(model) || q.Bytes() != bytes {
					t.Fatalf("%d elements of %d bytes, want %d of %d", q.Len(), q.Bytes(), len(model), bytes)
				}
				for i, e := range model {
					if q.At(i) != e.v {
						t.Fatalf("element %d is %d, want %d", i, q.At(i), e.v)
					}
				}
				if slots := len(q.ring.ring); slots&(slots-1) != 0 || slots > max(spare, 8*len(model)) {
					t.Fatalf("%d slots for %d elements", slots, len(model))
				}
			},
		})
	})
}

// What was taken can be freed, also while the ring lives on.
func TestTakenPlacesAreCleared(t *testing.T) {
	var r Ring[*int]
	for range 40 {
		r.PushBack(new(int))
	}
	for range 30 {
		r.PopFront()
	}
	held := 0
	for _, p := range r.ring {
		if p != nil {
			held++
		}
	}
	if held != r.Len() {
		t.Errorf("%d slots hold something, for %d elements", held, r.Len())
	}
}

func TestABurstGivesItsMemoryBack(t *testing.T) {
	var r Ring[int]
	for i := range 100_000 {
		r.PushBack(i)
	}
	for r.Len() > 10 {
		r.PopFront()
	}
	if n := len(r.ring); n > 8*10 {
		t.Errorf("%d slots are kept for 10 elements", n)
	}
	for r.Len() > 0 {
		r.PopFront()
	}
	if n := len(r.ring); n > spare {
		t.Errorf("%d slots are kept for none", n)
	}
}

func TestARingThatLacksTheElementPanics(t *testing.T) {
	for name, f := range map[string]func(*Ring[int]){
		"pop": func(r *Ring[int]) { r.PopFront() },
		"at":  func(r *Ring[int]) { r.At(0) },
		"set": func(r *Ring[int]) { r.Set(-1, 1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s of an empty ring did not panic", name)
				}
			}()
			r := Ring[int]{ring: make([]int, least)}
			f(&r)
		}()
	}
}

// A queue that is as long as before costs no memory.
func TestASteadyQueueDoesNotAllocate(t *testing.T) {
	q := New[int](1000, 1000)
	for i := range 100 {
		q.Push(i, 1)
	}
	if n := testing.AllocsPerRun(1000, func() { q.Push(1, 1); q.Pop() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
