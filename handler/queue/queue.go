package queue

// Queue is a queue with limits. Make one with New.
type Queue[T any] struct {
	most, mostBytes int

	ring  Ring[sized[T]]
	bytes int
}

type sized[T any] struct {
	v    T
	size int
}

// New makes a queue of at most so many elements, with at most so many bytes
// together. An element that is alone may have more.
func New[T any](most, mostBytes int) Queue[T] {
	return Queue[T]{most: most, mostBytes: mostBytes}
}

// Len is the number of elements.
func (q *Queue[T]) Len() int { return q.ring.Len() }

// Bytes is the size of all elements.
func (q *Queue[T]) Bytes() int { return q.bytes }

// Push adds an element at the end if it fits, and tells whether it did.
func (q *Queue[T]) Push(v T, size int) bool {
	if n := q.Len(); n >= q.most || n > 0 && q.bytes+size > q.mostBytes {
		return false
	}
	q.Force(v, size)
	return true
}

// Force adds an element at the end, whether it fits or not. It is for what
// stands for others, such as a note that some were lost.
func (q *Queue[T]) Force(v T, size int) {
	q.ring.PushBack(sized[T]{v, size})
	q.bytes += size
}

// Pop takes the first element off. ok is false if there is none.
func (q *Queue[T]) Pop() (v T, ok bool) {
	if q.Len() == 0 {
		return v, false
	}
	e := q.ring.PopFront()
	q.bytes -= e.size
	return e.v, true
}

// At returns element i from the front, which must be there.
func (q *Queue[T]) At(i int) T { return q.ring.At(i).v }

// Set replaces element i, which must be there.
func (q *Queue[T]) Set(i int, v T, size int) {
	q.bytes += size - q.ring.At(i).size
	q.ring.Set(i, sized[T]{v, size})
}

// Clear takes all elements off, and tells how many there were.
func (q *Queue[T]) Clear() (n int) {
	n = q.Len()
	q.ring, q.bytes = Ring[sized[T]]{}, 0
	return n
}
