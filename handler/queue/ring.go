package queue

// Ring is a queue in a ring that grows and shrinks with its elements. The zero
// value is empty.
type Ring[T any] struct {
	ring []T // its length is 0 or a power of two
	head int // index of the first element
	n    int
}

const (
	least = 16 // slots of a ring that has any
	spare = 64 // slots that an empty ring keeps
)

// Len is the number of elements.
func (r *Ring[T]) Len() int { return r.n }

// slot is where element i is, or would be.
func (r *Ring[T]) slot(i int) *T { return &r.ring[(r.head+i)&(len(r.ring)-1)] }

// At returns element i from the front, which must be there.
func (r *Ring[T]) At(i int) T {
	r.check(i)
	return *r.slot(i)
}

// Set replaces element i, which must be there.
func (r *Ring[T]) Set(i int, v T) {
	r.check(i)
	*r.slot(i) = v
}

func (r *Ring[T]) check(i int) {
	if uint(i) >= uint(r.n) {
		panic("queue: no such element")
	}
}

// PushBack adds an element at the end.
func (r *Ring[T]) PushBack(v T) {
	if r.n == len(r.ring) {
		r.resize(max(least, 2*r.n))
	}
	*r.slot(r.n) = v
	r.n++
}

// PopFront takes the first element off, which must be there.
func (r *Ring[T]) PopFront() T {
	r.check(0)
	var zero T
	first := r.slot(0)
	v := *first
	*first = zero
	r.head = (r.head + 1) & (len(r.ring) - 1)
	r.n--
	switch {
	case len(r.ring) <= spare:
	case r.n == 0:
		r.ring, r.head = nil, 0
	case r.n <= len(r.ring)/8: // then it takes as many to grow or shrink again
		r.resize(len(r.ring) / 4)
	}
	return v
}

// resize moves the elements to a ring of so many slots.
func (r *Ring[T]) resize(slots int) {
	ring := make([]T, slots)
	n := copy(ring, r.ring[r.head:min(r.head+r.n, len(r.ring))])
	copy(ring[n:], r.ring[:r.n-n])
	r.ring, r.head = ring, 0
}
