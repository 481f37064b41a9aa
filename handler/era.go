package handler

import "slices"

// maxEras bounds the filters that a cursor remembers. Beyond it the oldest are
// forgotten, and of the events before nobody knows any more that they were for
// the target.
const maxEras = 32

// era is from which event on a cursor had which filters. The first began when
// the cursor was born: what is before it was not for the target. Only the last
// picks events; the others tell of those that are through.
type era struct {
	from    uint64
	filters Filters
}

func (q *queue) filters() Filters { return q.eras[len(q.eras)-1].filters }

// newEra changes the filters for the events appended from now on.
func (c *memoryCursor) newEra(fs Filters) {
	from := c.m.head + 1
	if last := &c.eras[len(c.eras)-1]; last.from == from {
		last.filters = fs
	} else {
		c.eras = append(c.eras, era{from, fs})
	}
	c.eras = slices.Delete(c.eras, 0, max(0, len(c.eras)-maxEras))
	c.rebase()
}

// meant tells whether an event was for the target when it was appended.
func (q *queue) meant(e *entry) bool {
	for _, era := range slices.Backward(q.eras) {
		if era.from <= e.Seq {
			return era.filters.Match(e.Event.Type, e.Event.Name)
		}
	}
	return false
}
