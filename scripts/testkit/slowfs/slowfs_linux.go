package slowfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
)

// node is a file or folder. Its syncs take long, and need not sync anything: the tests
// kill processes, and not the machine.
type node struct {
	*fs.LoopbackNode
	takes time.Duration
}

// WrapChild makes a node of each file.
func (n *node) WrapChild(_ context.Context, child fs.InodeEmbedder) fs.InodeEmbedder {
	return &node{child.(*fs.LoopbackNode), n.takes}
}

func (n *node) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	time.Sleep(n.takes) // and not until the caller is killed: a disk does not know of that
	return 0
}

func mount(dir, files string, sync time.Duration) (unmount func() error, err error) {
	root := &fs.LoopbackRoot{Path: files}
	top := &node{&fs.LoopbackNode{RootData: root}, sync}
	root.RootNode = top
	// Opened here, so that no program that a test starts holds the device. If one did, it
	// would wait for ever for a file system whose test was killed.
	fd, err := syscall.Open("/dev/fuse", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	const flags = syscall.MS_NOSUID | syscall.MS_NODEV
	options := fmt.Sprintf("fd=%d,rootmode=%o,user_id=%d,group_id=%d", fd, syscall.S_IFDIR, os.Geteuid(), os.Getegid())
	if err := syscall.Mount("slowfs", dir, "fuse.slowfs", flags, options); err != nil {
		return nil, errors.Join(err, syscall.Close(fd))
	}
	cached := time.Second
	_, err = fs.Mount(fmt.Sprintf("/dev/fd/%d", fd), top, &fs.Options{AttrTimeout: &cached, EntryTimeout: &cached})
	unmount = func() error { return syscall.Unmount(dir, 0) }
	if err != nil {
		return nil, errors.Join(err, unmount())
	}
	return unmount, nil
}
