package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"

	"agentctl/handler/journal"
)

// The buckets of a journal's file. The header is under headerKey in the first;
// events are under their sequence numbers; a target's keys are its name's
// length and name, a kind, and for a burial its sequence number.
var (
	journalBucket = []byte("journal")
	eventsBucket  = []byte("events")
	targetsBucket = []byte("targets")
	headerKey     = []byte("header")
)

const (
	kindCursor  = 'c'
	kindPending = 'x'
	kindBurial  = 'b'
)

// store is where batches go: a bbolt file, or in tests a broken one.
type store interface {
	// commit writes a batch. What the file holds after an error is the state
	// before the batch, or one with some of its events.
	commit(*journal.Changes) error
	close() error
}

type boltStore struct {
	db   *bbolt.DB
	dead error // a panic: bbolt may hold its locks for ever
}

func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

func targetPrefix(name string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(name))), name...)
}

func targetKey(name string, kind byte) []byte { return append(targetPrefix(name), kind) }

func burialKey(name string, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(targetKey(name, kindBurial), seq)
}

// splitTargetKey undoes targetKey and burialKey.
func splitTargetKey(key []byte) (name string, kind byte, seq uint64, ok bool) {
	if len(key) < 3 {
		return "", 0, 0, false
	}
	n := int(binary.BigEndian.Uint16(key))
	rest := key[2:]
	if len(rest) < n+1 {
		return "", 0, 0, false
	}
	name, kind, rest = string(rest[:n]), rest[n], rest[n+1:]
	switch {
	case kind == kindBurial && len(rest) == 8:
		return name, kind, binary.BigEndian.Uint64(rest), true
	case (kind == kindCursor || kind == kindPending) && len(rest) == 0:
		return name, kind, 0, true
	}
	return "", 0, 0, false
}

func boltOptions(noSync bool) *bbolt.Options {
	o := *bbolt.DefaultOptions
	o.Timeout = time.Second // the folder is locked already: somebody else's program has it
	o.NoFreelistSync = true // it is made anew from the tree; one thing less to go wrong
	o.FreelistType = bbolt.FreelistMapType
	o.NoSync = noSync
	return &o
}

// createBolt makes an empty journal under another name first, so that a file
// without a header is never one that was just begun.
func createBolt(path string, noSync bool) (err error) {
	draft := path + ".new"
	if err := os.Remove(draft); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	db, err := bbolt.Open(draft, 0o600, boltOptions(noSync))
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{journalBucket, eventsBucket, targetsBucket} {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		return tx.Bucket(journalBucket).Put(headerKey, encodeHeader(headerKey, journal.Header{First: 1}, counts{}))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if err := os.Rename(draft, path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// openStore opens a file that has been checked.
func openStore(path string, noSync bool) (s *boltStore, err error) {
	defer guard(&err)()
	db, err := bbolt.Open(path, 0o600, boltOptions(noSync))
	if err != nil {
		return nil, err
	}
	return &boltStore{db: db}, nil
}

// panicError is a panic of bbolt's that was caught.
type panicError struct{ value any }

func (e *panicError) Error() string {
	return fmt.Sprintf("the file cannot be used any more, until the agent is started anew: %v", e.value)
}

// guard turns a panic of bbolt's, or a fault in its mapped file (the disk
// cannot be read), into an error.
func guard(err *error) func() {
	old := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(old)
		if p := recover(); p != nil {
			*err = &panicError{p}
		}
	}
}

func (s *boltStore) commit(changes *journal.Changes) (err error) {
	if s.dead != nil {
		return s.dead
	}
	defer func() {
		if p, ok := errors.AsType[*panicError](err); ok {
			s.dead = p
		}
	}()
	defer guard(&err)()
	for part := range changes.Parts() {
		if err := s.db.Update(func(tx *bbolt.Tx) error { return put(tx, part) }); err != nil {
			return err
		}
	}
	return nil
}

func put(tx *bbolt.Tx, changes *journal.Changes) error {
	journal, events, targets := tx.Bucket(journalBucket), tx.Bucket(eventsBucket), tx.Bucket(targetsBucket)
	events.FillPercent = 1 // they come in order
	old, n, err := decodeHeader(headerKey, journal.Get(headerKey))
	if err != nil {
		return fmt.Errorf("header: %w", err)
	}
	h := changes.Header
	if n.values == valuesUnknown {
		n.values = uint64(targets.Stats().KeyN)
	}
	state := counted{targets, &n.values}
	h.LTime = max(h.LTime, old.LTime)
	for _, seq := range changes.Deleted {
		key := seqKey(seq)
		if events.Get(key) == nil {
			continue // went with a commit that was taken for failed
		}
		if err := events.Delete(key); err != nil {
			return err
		}
		n.events--
	}
	for _, e := range changes.Entries {
		key := seqKey(e.Seq)
		// Beyond the old head there is nothing to look for.
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

// counted is a bucket whose values are counted.
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

func (s *boltStore) close() (err error) {
	if s.dead != nil {
		return nil // the error was told with the commits; the lock ends with the process
	}
	defer guard(&err)()
	return s.db.Close()
}
