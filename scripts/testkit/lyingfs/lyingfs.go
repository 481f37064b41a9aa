package lyingfs

import (
	"slices"
	"sync"
	"testing"
	"time"
)

// FS is a file system that forgets.
type FS struct {
	syncTakes time.Duration

	mu   sync.Mutex // for all that is below it
	root *inode
	last uint64 // the last number of an inode
}

// inode is a file or a directory between two crashes.
type inode struct {
	number  uint64 // never used again
	dir     bool
	mode    uint32 // permissions
	content content
	names   names
}

// Mount mounts an empty file system at dir, until the end of the test. Each sync takes
// as long as given, and has no effect before its end. Mount returns nil where mounting is
// not allowed or not known how.
func Mount(tb testing.TB, dir string, syncTakes time.Duration) *FS {
	tb.Helper()
	fs := &FS{syncTakes: syncTakes}
	fs.root = fs.newInode(true, 0o755)
	unmount, err := mount(fs, dir)
	if err != nil {
		tb.Logf("no file system that forgets can be mounted here: %v", err)
		return nil
	}
	tb.Cleanup(func() {
		if err := unmount(); err != nil {
			tb.Error(err)
		}
	})
	return fs
}

// newInode makes a file or directory that no sync has seen.
func (fs *FS) newInode(dir bool, mode uint32) *inode {
	fs.last++
	i := &inode{number: fs.last, dir: dir, mode: mode}
	if dir {
		i.names = names{live: entries{}, kept: entries{}}
	}
	return i
}

// Crash leaves what was synced, and each other change with a chance from 0 to 1. Kill the
// programs that use the file system before it, or right behind it.
func (fs *FS) Crash(chance float64) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.root = fs.survivor(fs.root, chance)
}

// survivor is what a crash leaves of a file or directory, and of everything in it.
func (fs *FS) survivor(i *inode, chance float64) *inode {
	left := fs.newInode(i.dir, i.mode)
	if !i.dir {
		left.content.live = i.content.survivor(chance)
		left.content.kept = slices.Clone(left.content.live)
		return left
	}
	for name, child := range i.names.survivor(chance) {
		left.names.live[name] = fs.survivor(child, chance)
	}
	left.names.sync()
	return left
}

// sync makes a file's bytes, or a directory's names, survive.
func (fs *FS) sync(i *inode) {
	time.Sleep(fs.syncTakes) // and not until the caller is killed: a disk does not know of that
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if i.dir {
		i.names.sync()
	} else {
		i.content.sync()
	}
}
