package lyingfs

import (
	"context"
	"os"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"agentctl/scripts/testkit/fusefs"
)

// The kernel remembers no name and no attribute, since a crash changes them.
func mount(f *FS, dir string) (unmount func() error, err error) {
	return fusefs.Mount(dir, "lyingfs", &node{fs: f}, 0)
}

// node is a file or directory as the kernel knows it. Only the top survives a crash.
type node struct {
	fs.Inode
	fs    *FS
	inode *inode // nil for the top: that of the newest crash
}

// use locks the file system, and returns what the node stands for.
func (n *node) use() (i *inode, done func()) {
	n.fs.mu.Lock()
	if i = n.inode; i == nil {
		i = n.fs.root
	}
	return i, n.fs.mu.Unlock
}

// kernelNode tells the kernel of an inode. The file system is locked.
func (n *node) kernelNode(ctx context.Context, i *inode, out *fuse.Attr) *fs.Inode {
	i.attr(out)
	mode := uint32(syscall.S_IFREG)
	if i.dir {
		mode = syscall.S_IFDIR
	}
	return n.NewInode(ctx, &node{fs: n.fs, inode: i}, fs.StableAttr{Mode: mode, Ino: i.number})
}

func (i *inode) attr(out *fuse.Attr) {
	out.Mode, out.Nlink, out.Size = i.mode, 1, uint64(len(i.content.live))
	out.Blksize, out.Blocks = pageSize, (out.Size+511)/512
	out.Uid, out.Gid = uint32(os.Geteuid()), uint32(os.Getegid())
}

func (n *node) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	i, done := n.use()
	defer done()
	i.attr(&out.Attr)
	return 0
}

func (n *node) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	i, done := n.use()
	defer done()
	if mode, ok := in.GetMode(); ok {
		i.mode = mode & 0o7777
	}
	if size, ok := in.GetSize(); ok {
		i.content.resize(int(size))
	}
	i.attr(&out.Attr)
	return 0
}

func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	dir, done := n.use()
	defer done()
	i := dir.names.live[name]
	if i == nil {
		return nil, syscall.ENOENT
	}
	return n.kernelNode(ctx, i, &out.Attr), 0
}

func (n *node) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	dir, done := n.use()
	defer done()
	var list []fuse.DirEntry
	for name, i := range dir.names.live {
		mode := uint32(syscall.S_IFREG)
		if i.dir {
			mode = syscall.S_IFDIR
		}
		list = append(list, fuse.DirEntry{Name: name, Mode: mode, Ino: i.number})
	}
	return fs.NewListDirStream(list), 0
}

// add makes a file or directory, whose name no sync has seen.
func (n *node) add(ctx context.Context, name string, isDir bool, mode uint32, out *fuse.EntryOut) *fs.Inode {
	dir, done := n.use()
	defer done()
	i := n.fs.newInode(isDir, mode&0o7777)
	dir.names.change(entries{name: i})
	return n.kernelNode(ctx, i, &out.Attr)
}

func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return n.add(ctx, name, true, mode, out), 0
}

func (n *node) Create(ctx context.Context, name string, _, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	return n.add(ctx, name, false, mode, out), nil, 0, 0
}

func (n *node) Unlink(_ context.Context, name string) syscall.Errno {
	dir, done := n.use()
	defer done()
	if dir.names.live[name] == nil { // the kernel does not know of a crash since
		return syscall.ENOENT
	}
	dir.names.change(entries{name: nil})
	return 0
}

func (n *node) Rmdir(_ context.Context, name string) syscall.Errno {
	dir, done := n.use()
	defer done()
	i := dir.names.live[name]
	switch {
	case i == nil:
		return syscall.ENOENT
	case len(i.names.live) > 0:
		return syscall.ENOTEMPTY
	}
	dir.names.change(entries{name: nil})
	return 0
}

func (n *node) Rename(_ context.Context, from string, newDir fs.InodeEmbedder, to string, flags uint32) syscall.Errno {
	dir, done := n.use()
	defer done()
	i := dir.names.live[from]
	switch {
	case newDir.EmbeddedInode() != n.EmbeddedInode():
		return syscall.EXDEV
	case flags != 0:
		return syscall.EINVAL
	case i == nil:
		return syscall.ENOENT
	case dir.names.live[to] != nil && len(dir.names.live[to].names.live) > 0:
		return syscall.ENOTEMPTY
	}
	dir.names.change(entries{from: nil, to: i})
	return 0
}

// Open lets the kernel keep no page that it read before: the flags say nothing.
func (n *node) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if flags&syscall.O_TRUNC != 0 {
		i, done := n.use()
		defer done()
		i.content.resize(0)
	}
	return nil, 0, 0
}

func (n *node) Read(_ context.Context, _ fs.FileHandle, dest []byte, at int64) (fuse.ReadResult, syscall.Errno) {
	i, done := n.use()
	defer done()
	return fuse.ReadResultData(i.content.read(int(at), len(dest))), 0
}

func (n *node) Write(_ context.Context, _ fs.FileHandle, data []byte, at int64) (uint32, syscall.Errno) {
	i, done := n.use()
	defer done()
	i.content.write(data, int(at))
	return uint32(len(data)), 0
}

// Fsync is fdatasync as well, and that of a directory.
func (n *node) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	i, done := n.use()
	done()
	n.fs.sync(i)
	return 0
}
