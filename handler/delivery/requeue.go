package delivery

import (
	"fmt"
	"maps"

	"agentctl/handler/journal"
)

// Requeue makes the target get events, by sequence number, once more: those
// that were delivered or lost, as far as the journal holds them, and the
// buried. All or none; see [Cursor].
func (d *Delivery) Requeue(seqs ...uint64) error {
	return d.named(d.cursor.Requeue(seqs...))
}

// RequeueAsIs is Requeue for events that someone has named one by one: member
// events among them are posted even if they are not true any more. Of one that
// still waits when the Delivery ends the next asks Revise again.
func (d *Delivery) RequeueAsIs(seqs ...uint64) error {
	d.mu.Lock()
	// Those that were given up, not posted, go with the next call.
	maps.DeleteFunc(d.asIs, func(seq uint64, _ struct{}) bool {
		return d.cfg.Journal.Outcome(d.cfg.Target.Name, seq).State != journal.OutcomeWaiting
	})
	before := maps.Clone(d.asIs)
	if d.asIs == nil {
		d.asIs = map[uint64]struct{}{}
	}
	for _, seq := range seqs { // before a worker can have them
		d.asIs[seq] = struct{}{}
	}
	err := d.cursor.Requeue(seqs...)
	if err != nil {
		d.asIs = before
	}
	d.mu.Unlock()
	return d.named(err)
}

// takeAsIs tells whether an event was requeued as it is.
func (d *Delivery) takeAsIs(seq uint64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, as := d.asIs[seq]
	delete(d.asIs, seq)
	return as
}

// Buried returns the events that the target refused for good, as far as the
// journal keeps them, in the order of burial.
func (d *Delivery) Buried() []journal.Buried { return d.cursor.Buried() }

// named says which target an error is of.
func (d *Delivery) named(err error) error {
	if err != nil {
		err = fmt.Errorf("target %s: %w", d.cfg.Target.Name, err)
	}
	return err
}
