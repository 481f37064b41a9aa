package delivery

import (
	"fmt"
	"maps"
	"time"

	"agentctl/handler/journal"
)

// Requeue makes the target get events once more, by sequence number. The journal has
// to hold them: in its history, or because they are buried. Either all wait or none,
// see [journal.Cursor.Requeue].
func (d *Delivery) Requeue(seqs ...uint64) error {
	return d.named(d.cursor.Requeue(seqs...))
}

// RequeueAsIs is Requeue for events that somebody has named one by one. It skips Revise:
// member events among them are posted even if they are not true any more. If the
// Delivery ends before that, the next one asks Revise again.
func (d *Delivery) RequeueAsIs(seqs ...uint64) error {
	d.mu.Lock()
	// Forget those that were given up before they were posted.
	maps.DeleteFunc(d.asIs, func(seq uint64, _ struct{}) bool {
		return d.cfg.Journal.Outcome(d.cfg.Target.Name, seq).State != journal.OutcomeWaiting
	})
	before := maps.Clone(d.asIs)
	if d.asIs == nil {
		d.asIs = map[uint64]struct{}{}
	}
	for _, seq := range seqs { // before a worker can get them
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

// Buried returns the events that the target refused for good and the journal keeps, in
// the order of burial.
func (d *Delivery) Buried() []journal.Buried { return d.cursor.Buried() }

// Dismiss forgets burials, see [journal.Cursor.Dismiss]. If all of those are forgotten
// that the target took nothing after, it is not refusing any more.
func (d *Delivery) Dismiss(seqs ...uint64) error {
	before := d.cursor.Status().RefusingSince
	err := d.cursor.Dismiss(seqs...)
	if !before.IsZero() && d.cursor.Status().RefusingSince.IsZero() {
		d.mu.Lock()
		d.state.since, d.state.refusing.dismissed = time.Now(), true
		d.mu.Unlock()
	}
	return d.named(err)
}

// named puts the target's name before an error.
func (d *Delivery) named(err error) error {
	if err != nil {
		err = fmt.Errorf("target %s: %w", d.cfg.Target.Name, err)
	}
	return err
}
