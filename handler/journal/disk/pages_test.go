package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"slices"
	"testing"

	"go.etcd.io/bbolt"

	"agentctl/handler/varint"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

// How a bbolt file is laid out.
const (
	pageHeader  = 16
	pageElement = 16
	branchPage  = 0x01
	leafPage    = 0x02
)

var native = binary.NativeEndian

// layout is where the pages of a journal's file are, by bbolt itself.
type layout struct {
	pageSize int
	used     int   // bytes, from the beginning
	root     int   // the page of the root bucket
	inUse    []int // pages with a head, in order
}

func layoutOf(t testing.TB, file []byte) (l layout) {
	t.Helper()
	_, path := dirWith(t, file)
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, PreLoadFreelist: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.View(func(tx *bbolt.Tx) error {
		l.pageSize, l.used, l.root = db.Info().PageSize, int(tx.Size()), int(tx.Cursor().Bucket().Root())
		for id := 0; id < l.used/l.pageSize; {
			p, err := tx.Page(id)
			if err != nil || p == nil {
				return err
			}
			if p.Type == "branch" || p.Type == "leaf" {
				l.inUse = append(l.inUse, id)
			}
			id++
			if p.Type != "free" {
				id += p.OverflowCount
			}
		}
		return nil
	}), db.Close()); err != nil {
		t.Fatal(err)
	}
	return l
}

// Two elements of a leaf that were swapped, each with a good checksum.
func TestDiskKeysOutOfOrder(t *testing.T) {
	file, events := someJournal(t, 150)
	swapped := 0
	for at := 2 * 4096; at+4096 <= len(file); at += 4096 {
		page := file[at:]
		if native.Uint16(page[8:]) != leafPage || native.Uint16(page[10:]) < 2 {
			continue
		}
		a, b := page[pageHeader:][:pageElement], page[pageHeader+pageElement:][:pageElement]
		first := bytes.Clone(a)
		copy(a, b)
		copy(b, first)
		native.PutUint32(a[4:], native.Uint32(a[4:])+pageElement) // they point from where they are
		native.PutUint32(b[4:], native.Uint32(b[4:])-pageElement)
		swapped++
	}
	if swapped == 0 || opens(t, file, events) {
		t.Errorf("opens with %d leaves out of order", swapped)
	}
}

// The key of a branch is that with which the page below begins. Bbolt goes by
// it without a look: with another it panics, or leaves a page in the tree that
// is not in use any more.
func TestDiskWrongBranchKey(t *testing.T) {
	file, events := someJournal(t, 150)
	l := layoutOf(t, file)
	branches := 0
	for _, id := range l.inUse {
		at := id * l.pageSize
		if native.Uint16(file[at+8:]) != branchPage {
			continue
		}
		branches++
		el := at + pageHeader
		key := el + int(native.Uint32(file[el:]))
		for what, change := range map[string]func([]byte){
			"empty":   func(b []byte) { native.PutUint32(b[el+4:], 0) },
			"shorter": func(b []byte) { native.PutUint32(b[el+4:], 7) },
			"lower":   func(b []byte) { b[key+7]-- },
		} {
			damaged := slices.Clone(file)
			change(damaged)
			if opens(t, damaged, events) {
				t.Errorf("page %d: opens with a key that is %s", id, what)
			}
		}
	}
	if branches == 0 {
		t.Error("the journal has no branch")
	}
}

// No bit of what tells where values are can be flipped so that the file is read,
// and as anything but what it was.
func TestDiskEveryBitOfThePages(t *testing.T) {
	file, events := someJournal(t, 24)
	read := func(file []byte) *contents { return readContents(bytes.NewReader(file), int64(len(file))) }
	whole, l := read(file), layoutOf(t, file)
	tried, passed := 0, 0
	for _, id := range l.inUse {
		at := id * l.pageSize
		end := at + pageHeader + int(native.Uint16(file[at+10:]))*pageElement
		if id == l.root {
			end += 256 // with the head of a small bucket, which is within this page
		}
		for bit := 8 * at; bit < 8*end; bit++ {
			damaged := slices.Clone(file)
			damaged[bit/8] ^= 1 << (bit % 8)
			tried++
			c := read(damaged)
			if len(c.problems) > 0 {
				continue
			}
			passed++
			if !reflect.DeepEqual(c, whole) {
				t.Errorf("page %d: bit %d of its byte %d is not missed", id, bit%8, bit/8-at)
			}
			if passed%10 == 1 && !opens(t, damaged, events) {
				t.Errorf("page %d: bit %d of its byte %d: it reads, and does not open", id, bit%8, bit/8-at)
			}
		}
	}
	if tried < 1000 {
		t.Errorf("only %d bits were tried", tried)
	}
	t.Logf("%d bits were flipped, of which %d tell nothing", tried, passed)
}

// A file of version 3 does not count the values of targets; the first commit
// does.
func TestDiskOfVersion3(t *testing.T) {
	file, _ := someJournal(t, 24)
	dir, path := dirWith(t, file)
	db, err := bbolt.Open(path, 0o600, boltOptions(true))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(journalBucket)
		h, n, err := decodeHeader(headerKey, b.Get(headerKey))
		old := encoder{varint.Encoder{3}}
		for _, v := range []uint64{h.Head, h.First, h.LTime, n.events} {
			old.Uint(v)
		}
		return errors.Join(err, b.Put(headerKey, old.seal(headerKey)))
	}), db.Close()); err != nil {
		t.Fatal(err)
	}
	d := openDir(t, Config{Dir: dir, NoSync: true})
	journals.MustAppend(t, d.Journal, journals.User(1<<40, "new"))
	testkit.MustClose(t, d)
	c, _, err := readFile(path)
	if err != nil || len(c.problems) > 0 || c.counts.values == valuesUnknown || c.counts.values != c.values || c.values < 3 {
		t.Errorf("%+v, %d values of targets, %q, %v", c.counts, c.values, c.problems, err)
	}
}
