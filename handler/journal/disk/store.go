package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"

	"agentctl/handler/journal"
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

func (s *boltStore) close() (err error) {
	if s.dead != nil {
		return nil // the error was told with the commits; the lock ends with the process
	}
	defer guard(&err)()
	return s.db.Close()
}
