//go:build unix

package disk

import (
	"os"
	"syscall"
)

func tryLock(f *os.File) error {
	for {
		switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err {
		case syscall.EINTR:
		case syscall.EWOULDBLOCK:
			return errLocked
		default:
			return err
		}
	}
}

// unlock gives the lock back. To close the file is not enough: a child that is being
// forked at this moment has it open too, until it runs its program. The close that
// follows reports errors.
func unlock(f *os.File) { syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
