package slowfs

import (
	"context"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"

	"agentctl/scripts/testkit/fusefs"
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
	return fusefs.Mount(dir, "slowfs", top, time.Second)
}
