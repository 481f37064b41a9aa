package handler

// deque is a queue in a ring that grows by doubling.
type deque[T any] struct {
	ring []T
	head int // index of the first element
	n    int
}

// spareRing is the capacity that an empty deque keeps; beyond it the ring is
// given back, so that one burst does not hold memory for ever.
const spareRing = 1024

func (d *deque[T]) len() int { return d.n }

// at returns element i from the front.
func (d *deque[T]) at(i int) T { return d.ring[(d.head+i)&(len(d.ring)-1)] }

// set replaces element i.
func (d *deque[T]) set(i int, v T) { d.ring[(d.head+i)&(len(d.ring)-1)] = v }

func (d *deque[T]) pushBack(v T) {
	d.grow()
	d.ring[(d.head+d.n)&(len(d.ring)-1)] = v
	d.n++
}

// popFront takes the first element off and clears its place, so that what it
// points to can be freed.
func (d *deque[T]) popFront() T {
	var zero T
	v := d.ring[d.head]
	d.ring[d.head] = zero
	d.head = (d.head + 1) & (len(d.ring) - 1)
	d.n--
	if d.n == 0 {
		d.head = 0
		if len(d.ring) > spareRing {
			d.ring = nil
		}
	}
	return v
}

// grow makes room for one more. The capacity is always a power of two.
func (d *deque[T]) grow() {
	if d.n < len(d.ring) {
		return
	}
	ring := make([]T, max(16, 2*len(d.ring)))
	for i := range d.n {
		ring[i] = d.at(i)
	}
	d.ring, d.head = ring, 0
}
