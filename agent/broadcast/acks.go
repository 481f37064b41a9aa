package broadcast

import (
	"agentctl/agent/link"
	"agentctl/agent/plumtree"
)

// receipt is when messages of a peer are acknowledged that came together. Events are once they
// are taken in. What else goes along trees is acknowledged soon, since its sender waits for
// nothing. tree.mu guards it once an event waits.
type receipt struct {
	events bool // there are some among the messages
	waits  int  // how many of them are not taken in, and one for Receive
	ack    link.Ack
	settle func() // nil if no event waits for its order
}

// waitLocked has a receipt wait for events to be taken in. t.mu is held.
func (t *tree) waitLocked(r *receipt, events []plumtree.ID) {
	if len(events) > 0 && r.settle == nil {
		r.ack, r.settle = link.Held()
		r.waits = 1
	}
	r.waits += len(events)
	for _, id := range events {
		t.waiting[id] = append(t.waiting[id], r)
	}
}

// waitedLocked takes off the receipts that wait for any of these events. t.mu is held.
func (t *tree) waitedLocked(events []Message) (all []*receipt) {
	if len(t.waiting) == 0 {
		return nil
	}
	for i := range events {
		id := events[i].ID
		all = append(all, t.waiting[id]...)
		delete(t.waiting, id)
	}
	return all
}

// takenIn says that one more of what these receipts wait for is done.
func (t *tree) takenIn(receipts ...*receipt) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range receipts {
		if r.waits--; r.waits == 0 {
			r.settle()
		}
	}
}

// acknowledge is when the messages of a receipt are acknowledged, now that all were received.
func (t *tree) acknowledge(r *receipt) link.Ack {
	switch {
	case r.settle != nil:
		t.takenIn(r)
		return r.ack
	case r.events:
		return link.Ack{}
	}
	return link.Soon()
}
