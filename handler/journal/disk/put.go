package disk

import (
	"bytes"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"agentctl/handler"
	"agentctl/handler/journal"
)

// put writes changes in a transaction.
func put(tx *bbolt.Tx, changes *journal.Changes) error {
	journal, events, targets := tx.Bucket(journalBucket), tx.Bucket(eventsBucket), tx.Bucket(targetsBucket)
	events.FillPercent = 1 // full pages, as events come in order
	old, n, err := decodeHeader(headerKey, journal.Get(headerKey))
	if err != nil {
		return fmt.Errorf("header: %w", err)
	}
	h := changes.Header
	if n.values == valuesUnknown {
		n.values = uint64(targets.Stats().KeyN)
	}
	state := counted{targets, &n.values}
	if old.LTime <= handler.EndLTime { // else see journal.State
		h.LTime = max(h.LTime, old.LTime)
	}
	for _, seq := range changes.Deleted {
		key := seqKey(seq)
		if events.Get(key) == nil {
			continue // deleted by a commit that seemed to fail
		}
		if err := events.Delete(key); err != nil {
			return err
		}
		n.events--
	}
	for _, e := range changes.Entries {
		key := seqKey(e.Seq)
		// An event beyond the old head cannot be in the file.
		if e.Seq > old.Head || events.Get(key) == nil {
			n.events++
		}
		if err := events.Put(key, encodeEvent(key, &e.Event)); err != nil {
			return err
		}
	}
	for _, name := range changes.Forgotten {
		prefix := targetPrefix(name)
		c := targets.Cursor()
		for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Seek(prefix) {
			if err := state.delete(bytes.Clone(k)); err != nil {
				return err
			}
		}
	}
	for i := range changes.Cursors {
		if err := putCursor(state, &changes.Cursors[i]); err != nil {
			return err
		}
	}
	return journal.Put(headerKey, encodeHeader(headerKey, h, n))
}

// putCursor writes the changes of one cursor.
func putCursor(state counted, c *journal.CursorChange) error {
	key := targetKey(c.Target, kindCursor)
	errs := []error{state.put(key, encodeCursor(key, &c.State))}
	if key := targetKey(c.Target, kindPending); c.PendingExceptionsChanged && len(c.PendingExceptions) > 0 {
		errs = append(errs, state.put(key, encodeSeqs(key, c.PendingExceptions)))
	} else if c.PendingExceptionsChanged {
		errs = append(errs, state.delete(key))
	}
	for seq, burial := range c.Buried {
		if key := burialKey(c.Target, seq); burial != nil {
			errs = append(errs, state.put(key, encodeBurial(key, burial)))
		} else {
			errs = append(errs, state.delete(key))
		}
	}
	return errors.Join(errs...)
}

// counted is a bucket that counts its values.
type counted struct {
	*bbolt.Bucket
	n *uint64
}

func (c counted) put(key, value []byte) error {
	if c.Get(key) == nil {
		*c.n++
	}
	return c.Put(key, value)
}

func (c counted) delete(key []byte) error {
	if c.Get(key) == nil {
		return nil
	}
	*c.n--
	return c.Delete(key)
}
