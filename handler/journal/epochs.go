package journal

import (
	"slices"

	"agentctl/handler"
)

// maxEpochs bounds the filter epochs that a cursor remembers. Beyond it the oldest
// is forgotten, and nobody knows any more which of its events were for the target.
const maxEpochs = 32

// FilterEpoch is a range of events for which a cursor had one set of filters: from
// its own first event to that of the next epoch. The first epoch begins with the
// cursor, and no event before it was for the target. Only the last epoch picks
// events; the others say which settled events were for the target.
type FilterEpoch struct {
	From    uint64 // a sequence number
	Filters handler.Filters
}

func (q *queue) filters() handler.Filters { return q.epochs[len(q.epochs)-1].Filters }

// newEpoch changes the filters for the events that are appended from now on.
func (c *Cursor) newEpoch(fs handler.Filters) {
	from := c.journal.log.head + 1
	if last := &c.epochs[len(c.epochs)-1]; last.From == from {
		last.Filters = fs
	} else {
		c.epochs = append(c.epochs, FilterEpoch{from, fs})
	}
	c.epochs = slices.Delete(c.epochs, 0, max(0, len(c.epochs)-maxEpochs))
	c.rebase()
}

// meant tells whether an event was for the target when it was appended.
func (q *queue) meant(e *Entry) bool {
	for _, epoch := range slices.Backward(q.epochs) {
		if epoch.From <= e.Seq {
			return epoch.Filters.Match(e.Event.Type, e.Event.Name)
		}
	}
	return false
}
