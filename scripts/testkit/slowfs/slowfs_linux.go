package slowfs

import (
	"context"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// node is a file or folder. Its syncs take long, and need not sync anything: the tests
// kill processes, and not the machine.
type node struct {
	fs.LoopbackNode
	takes time.Duration
}

func (n *node) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	time.Sleep(n.takes) // and not until the caller is killed: a disk does not know of that
	return 0
}

func mount(dir, files string, sync time.Duration) (unmount func() error, err error) {
	root := &fs.LoopbackRoot{Path: files}
	root.NewNode = func(r *fs.LoopbackRoot, _ *fs.Inode, _ string, _ *syscall.Stat_t) fs.InodeEmbedder {
		return &node{fs.LoopbackNode{RootData: r}, sync}
	}
	root.RootNode = root.NewNode(root, nil, "", nil)
	cached := time.Second
	server, err := fs.Mount(dir, root.RootNode, &fs.Options{
		AttrTimeout: &cached, EntryTimeout: &cached,
		MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "slowfs"},
	})
	if err != nil {
		return nil, err
	}
	return server.Unmount, nil
}
