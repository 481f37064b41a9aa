package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"

	"agentctl/agent/files"
	"agentctl/handler/journal"
)

// store takes the changes: a bbolt file, or in tests a broken one.
type store interface {
	// commit writes changes. After an error the file is as it was before, or
	// has some of their events.
	commit(*journal.Changes) error
	close() error
}

// boltStore is the store that counts: one bbolt file.
type boltStore struct {
	db   *bbolt.DB
	dead error // a panic, after which bbolt may hold its locks for ever

	touched int // pages of the file, at least, since the last release
}

// releaseAfter is the number of touched pages after which release is due: some megabytes of
// the file, since each commit touches a few more than touchedBy tells.
const releaseAfter = 1000

// touchedBy is how many pages of a file a commit touches at least. A burst is written in
// large commits, so their number says little.
func touchedBy(changes *journal.Changes) int {
	const event = 100 // bytes that one takes in the file, beside its name and payload
	size := event * (len(changes.Entries) + len(changes.Deleted))
	for _, e := range changes.Entries {
		size += len(e.Event.Name) + len(e.Event.Payload)
	}
	return 1 + size/os.Getpagesize()
}

func boltOptions(noSync bool) *bbolt.Options {
	o := *bbolt.DefaultOptions
	o.Timeout = time.Second // for another program: the directory is locked already
	o.NoFreelistSync = true // it is made anew from the tree: one thing less to go wrong
	o.FreelistType = bbolt.FreelistMapType
	o.NoSync = noSync
	o.OpenFile = files.OpenOwn
	return &o
}

// createBolt makes an empty journal. It has another name until it is whole, so a file
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
	// Before the journal has its name: a process that finds it need not do this again.
	if !noSync {
		if err := files.SyncPath(filepath.Dir(path)); err != nil {
			return err
		}
	}
	if err := os.Rename(draft, path); err != nil {
		return err
	}
	return files.SyncDir(filepath.Dir(path))
}

// openStore opens a file that has been checked.
func openStore(path string, noSync bool) (s *boltStore, err error) {
	defer guard(&err)()
	db, err := bbolt.Open(path, 0o600, boltOptions(noSync))
	if err != nil {
		return nil, err
	}
	return &boltStore{db: db}, release(db)
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
	if s.touched += touchedBy(changes); s.touched >= releaseAfter {
		s.touched = 0
		return release(s.db)
	}
	return nil
}

func (s *boltStore) close() (err error) {
	if s.dead != nil {
		return nil // commit returned the error already; bbolt's lock ends with the process
	}
	defer guard(&err)()
	return s.db.Close()
}
