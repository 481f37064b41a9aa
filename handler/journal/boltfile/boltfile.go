package boltfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
)

// File is a bbolt file whose heads were read. Walk reads the rest.
type File struct {
	Torn bool // one of the two heads is not valid

	r        io.ReaderAt
	size     int64
	problem  func(error) // is called for each fault; the walk goes on beside it
	pageSize uint64      // in bytes
	pages    uint64      // page numbers in use are below this
	root     uint64      // the page of the newest tree's root
	txid     uint64      // the newest transaction
	reached  []bool      // by page number
}

const (
	magic          = 0xED0CDAED
	formatVersion  = 2
	pageHeaderSize = 16
	elementSize    = 16
	metaSize       = 64
	branchPage     = 0x01
	leafPage       = 0x02
	bucketElement  = 0x01 // flag of a leaf's element
	maxDepth       = 64   // far deeper than any tree is
)

var nativeOrder = binary.NativeEndian

// Open reads the two heads of a file with so many bytes. The newer valid head counts.
// The other is that of the commit before it, or a crash tore it. Open fails if none
// is valid, or if the file is shorter than its head says. Walk calls problem for each
// fault that it finds.
func Open(r io.ReaderAt, size int64, problem func(error)) (*File, error) {
	f := &File{r: r, size: size, problem: problem}
	first := f.readMeta(0)
	// The second head is one page in, and the page size may have to be guessed.
	second := false
	if first {
		second = f.readMeta(int64(f.pageSize))
	} else {
		for shift := 9; shift <= 24 && !second; shift++ {
			second = f.readMeta(1 << shift)
		}
	}
	if !first && !second {
		return nil, fmt.Errorf("it is not a journal, or its beginning is damaged (%d bytes)", size)
	}
	f.Torn = !first || !second
	if f.pages > uint64(size)/f.pageSize {
		return nil, fmt.Errorf("it is cut off: %d bytes of at least %d are there", size, f.pages*f.pageSize)
	}
	f.reached = make([]bool, f.pages)
	return f, nil
}

// readMeta reads the head at an offset, and tells whether it is valid. It takes the
// head over if that is the newest so far.
func (f *File) readMeta(at int64) bool {
	var page [pageHeaderSize + metaSize]byte
	if _, err := f.r.ReadAt(page[:], at); err != nil {
		return false
	}
	m := page[pageHeaderSize:]
	h := fnv.New64a()
	h.Write(m[:56])
	pageSize := uint64(nativeOrder.Uint32(m[8:]))
	if nativeOrder.Uint32(m) != magic || nativeOrder.Uint32(m[4:]) != formatVersion ||
		nativeOrder.Uint64(m[56:]) != h.Sum64() || pageSize < 512 || at != 0 && uint64(at) != pageSize {
		return false
	}
	if txid := nativeOrder.Uint64(m[48:]); f.pageSize == 0 || txid > f.txid {
		f.pageSize, f.txid = pageSize, txid
		f.root, f.pages = nativeOrder.Uint64(m[16:]), nativeOrder.Uint64(m[40:])
	}
	return true
}

// Walk calls begin for each bucket at the top level, and then value for each key in
// it. Keys and values are valid only during the call. Walk must be called once.
func (f *File) Walk(begin func(bucket string), value func(bucket string, key, value []byte)) {
	f.tree(f.root, func(name, v []byte, flags uint32) {
		bucket := string(name)
		begin(bucket)
		each := func(key, v []byte, flags uint32) {
			if flags != 0 {
				f.problem(fmt.Errorf("bucket %q: an element has the flags %x", bucket, flags))
				return
			}
			value(bucket, key, v)
		}
		switch {
		case flags != bucketElement || len(v) < 16:
			f.problem(fmt.Errorf("%q is not a bucket", bucket))
		case nativeOrder.Uint64(v) != 0:
			f.tree(nativeOrder.Uint64(v), each)
		default: // a small bucket is a page within the value
			f.page(0, v[16:], 0, &treeWalk{each: each})
		}
	})
}

// treeWalk is the state of the walk through one tree.
type treeWalk struct {
	each  func(key, value []byte, flags uint32)
	last  []byte // the last key
	began bool
	first []byte // the key that the branch above has for the next page; nil if there is none
}

func (f *File) tree(root uint64, each func(key, value []byte, flags uint32)) {
	f.load(root, 0, &treeWalk{each: each})
}

// load reads a page with its overflow, and walks it.
func (f *File) load(id uint64, depth int, w *treeWalk) {
	fail := func(format string, args ...any) {
		f.problem(fmt.Errorf("page %d: %w", id, fmt.Errorf(format, args...)))
	}
	if id < 2 || id >= f.pages || depth > maxDepth {
		fail("it cannot be where the tree says")
		return
	}
	at := int64(id * f.pageSize)
	var head [pageHeaderSize]byte
	if _, err := f.r.ReadAt(head[:], at); err != nil {
		fail("%w", err)
		return
	}
	overflow := uint64(nativeOrder.Uint32(head[12:]))
	if nativeOrder.Uint64(head[:]) != id || overflow >= f.pages-id {
		fail("its header is wrong")
		return
	}
	for i := id; i <= id+overflow; i++ {
		if f.reached[i] {
			fail("it is reached twice")
			return
		}
		f.reached[i] = true
	}
	page := make([]byte, (overflow+1)*f.pageSize)
	if _, err := f.r.ReadAt(page, at); err != nil {
		fail("%w", err)
		return
	}
	f.page(id, page, depth, w)
}

// page walks the elements of a page.
func (f *File) page(id uint64, page []byte, depth int, w *treeWalk) {
	fail := func(what string) { f.problem(fmt.Errorf("page %d: %s", id, what)) }
	if len(page) < pageHeaderSize {
		fail("it is too short")
		return
	}
	flags, count := nativeOrder.Uint16(page[8:]), int(nativeOrder.Uint16(page[10:]))
	leaf := flags == leafPage
	if !leaf && flags != branchPage || !leaf && count == 0 || leaf && count == 0 && depth > 0 ||
		pageHeaderSize+count*elementSize > len(page) {
		fail("its header is wrong")
		return
	}
	for i := range count {
		at := pageHeaderSize + i*elementSize
		el := page[at : at+elementSize]
		var pos, ksize, vsize uint64
		if leaf {
			pos, ksize, vsize = uint64(nativeOrder.Uint32(el[4:])), uint64(nativeOrder.Uint32(el[8:])), uint64(nativeOrder.Uint32(el[12:]))
		} else {
			pos, ksize = uint64(nativeOrder.Uint32(el)), uint64(nativeOrder.Uint32(el[4:]))
		}
		from := uint64(at) + pos
		if from < uint64(pageHeaderSize+count*elementSize) || from+ksize+vsize > uint64(len(page)) {
			fail("an element points out of it")
			return
		}
		key := page[from : from+ksize]
		if w.began && bytes.Compare(key, w.last) <= 0 {
			fail("its keys are out of order")
			return
		}
		// bbolt finds a page in its branch by this key when it writes the page
		// anew. With another key the old page would stay beside the new one.
		if len(key) == 0 || w.first != nil && !bytes.Equal(key, w.first) {
			fail("its keys are not those of the page above")
			return
		}
		w.first = nil
		if leaf {
			w.last, w.began = key, true
			w.each(key, page[from+ksize:from+ksize+vsize], nativeOrder.Uint32(el))
			continue
		}
		w.first = key
		f.load(nativeOrder.Uint64(el[8:]), depth+1, w)
	}
}
