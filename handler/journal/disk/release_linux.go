package disk

import (
	"syscall"

	"go.etcd.io/bbolt"
)

// release takes the pages of the mapped file off this process' memory. They stay in the
// kernel's cache, and come back when they are touched: bbolt reads all of them when it
// opens the file, and in time a writer touches each, but needs few again. The
// transaction keeps the mapping where it is.
func release(db *bbolt.DB) error {
	return db.View(func(tx *bbolt.Tx) error {
		size := uintptr(tx.Size())
		if size == 0 {
			return nil
		}
		// A kernel that refuses has only the larger process.
		syscall.Syscall(syscall.SYS_MADVISE, db.Info().Data, size, syscall.MADV_DONTNEED)
		return nil
	})
}
