package fusefs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"golang.org/x/sys/unix"
)

// Mount mounts a file system at dir, which has to be empty. The kernel may remember
// names and attributes for as long as given.
func Mount(dir, name string, root fs.InodeEmbedder, cached time.Duration) (unmount func() error, err error) {
	// Opened here, so that no program that a test starts holds the device. If one did, it
	// would wait for ever for a file system whose test was killed.
	fd, err := syscall.Open("/dev/fuse", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	const flags = syscall.MS_NOSUID | syscall.MS_NODEV
	options := fmt.Sprintf("fd=%d,rootmode=%o,user_id=%d,group_id=%d", fd, syscall.S_IFDIR, os.Geteuid(), os.Getegid())
	if err := syscall.Mount(name, dir, "fuse."+name, flags, options); err != nil {
		return nil, errors.Join(err, syscall.Close(fd))
	}
	unmount = func() error { return unmountIdle(dir) }
	_, err = fs.Mount(fmt.Sprintf("/dev/fd/%d", fd), root, &fs.Options{AttrTimeout: &cached, EntryTimeout: &cached})
	if err == nil {
		err = refusePolls(dir)
	}
	if err != nil {
		return nil, errors.Join(err, unmount())
	}
	return unmount, nil
}

// unmountIdle waits for the files that a process had open when it ended, and for those
// that a process has until its program runs.
func unmountIdle(dir string) (err error) {
	for range 100 {
		if err = syscall.Unmount(dir, 0); !errors.Is(err, syscall.EBUSY) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

// refusePolls has the kernel learn that the file system's files cannot be polled. Else
// it would ask when this process opens its first file there, and Go's runtime would wait
// for the answer while it lets no goroutine give one. go-fuse has a file for that.
func refusePolls(dir string) error {
	fd, err := syscall.Open(filepath.Join(dir, ".go-fuse-epoll-hack"), syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	_, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return errors.Join(err, syscall.Close(fd))
}
