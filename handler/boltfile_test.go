package handler

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"go.etcd.io/bbolt"

	"agentctl/handler/varint"
)

// Whatever bbolt has made of its pages, by puts and deletes in any order, is
// read without a fault, and as bbolt reads it.
func TestBoltFile(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	path := filepath.Join(t.TempDir(), "db")
	db, err := bbolt.Open(path, 0o600, boltOptions(true))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for round := range 60 {
		if err := db.Update(func(tx *bbolt.Tx) error { return scramble(tx, rnd, round/10%2 == 0) }); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		if err := db.View(func(tx *bbolt.Tx) error {
			return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
				return b.ForEach(func(k, v []byte) error { want[string(name)+"/"+string(k)] = string(v); return nil })
			})
		}); err != nil {
			t.Fatal(err)
		}
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		fault := func(err error) { t.Errorf("round %d: %v", round, err) }
		f, err := openBolt(bytes.NewReader(file), int64(len(file)), fault)
		if err != nil {
			t.Fatal(err)
		}
		read := 0
		f.walk(func(string) {}, func(bucket string, k, v []byte) {
			read++
			if want[bucket+"/"+string(k)] != string(v) {
				t.Errorf("round %d: %q in %q is another", round, k, bucket)
			}
		})
		if read != len(want) {
			t.Errorf("round %d: %d values were read, and %d are there", round, read, len(want))
		}
	}
}

// scramble puts and deletes at random, more of one or of the other. Keys are
// long, so that there are many branches.
func scramble(tx *bbolt.Tx, rnd *rand.Rand, grow bool) error {
	b, err := tx.CreateBucketIfNotExists([]byte{byte('a' + rnd.IntN(3))})
	if err != nil {
		return err
	}
	b.FillPercent = []float64{0.5, 1}[rnd.IntN(2)]
	key := func() []byte { return fmt.Appendf(nil, "%d%0*d", rnd.IntN(10), 100+rnd.IntN(300), rnd.IntN(1000)) }
	puts, deletes := 60, 10
	if !grow {
		puts, deletes = 5, 100
	}
	for range puts {
		if err := b.Put(key(), make([]byte, rnd.IntN(300))); err != nil {
			return err
		}
	}
	c := b.Cursor()
	for k, _ := c.Seek(key()); k != nil && deletes > 0; k, _ = c.Next() {
		if err := c.Delete(); err != nil {
			return err
		}
		deletes--
	}
	return nil
}

// Two elements of a leaf that changed places, with good checksums both.
func TestDiskKeysOutOfOrder(t *testing.T) {
	file, events := someJournal(t, 150)
	swapped := 0
	for at := 2 * 4096; at+4096 <= len(file); at += 4096 {
		page := file[at:]
		if native.Uint16(page[8:]) != boltLeaf || native.Uint16(page[10:]) < 2 {
			continue
		}
		a, b := page[boltPageHeader:][:boltElement], page[boltPageHeader+boltElement:][:boltElement]
		first := bytes.Clone(a)
		copy(a, b)
		copy(b, first)
		native.PutUint32(a[4:], native.Uint32(a[4:])+boltElement) // they point from where they are
		native.PutUint32(b[4:], native.Uint32(b[4:])-boltElement)
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
	whole, err := openBolt(bytes.NewReader(file), int64(len(file)), func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	whole.walk(func(string) {}, func(string, []byte, []byte) {})
	branches := 0
	for id, inUse := range whole.reached {
		at := id * int(whole.pageSize)
		if !inUse || native.Uint64(file[at:]) != uint64(id) || native.Uint16(file[at+8:]) != boltBranch {
			continue
		}
		branches++
		el := at + boltPageHeader
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
	read := func(file []byte) (*contents, *boltFile) {
		f, err := openBolt(bytes.NewReader(file), int64(len(file)), func(error) {})
		if err != nil {
			t.Fatal(err)
		}
		f.walk(func(string) {}, func(string, []byte, []byte) {})
		return readContents(bytes.NewReader(file), int64(len(file))), f
	}
	whole, pages := read(file)
	tried, passed := 0, 0
	for id, inUse := range pages.reached {
		at := id * int(pages.pageSize)
		if !inUse || native.Uint64(file[at:]) != uint64(id) { // what a page before goes on in has no head
			continue
		}
		end := at + boltPageHeader + int(native.Uint16(file[at+10:]))*boltElement
		if uint64(id) == pages.root {
			end += 256 // with the head of a small bucket, which is within this page
		}
		for bit := 8 * at; bit < 8*end; bit++ {
			damaged := slices.Clone(file)
			damaged[bit/8] ^= 1 << (bit % 8)
			tried++
			c, _ := read(damaged)
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
		h, err := decodeHeader(headerKey, b.Get(headerKey))
		old := encoder{varint.Encoder{3}}
		for _, v := range []uint64{h.head, h.first, h.ltime, h.count} {
			old.Uint(v)
		}
		return errors.Join(err, b.Put(headerKey, old.seal(headerKey)))
	}), db.Close()); err != nil {
		t.Fatal(err)
	}
	d := openDir(t, DiskConfig{Dir: dir, noSync: true})
	mustAppend(t, d, user(1<<40, "new"))
	closeDisk(t, d)
	c, _, err := readFile(path)
	if err != nil || len(c.problems) > 0 || c.header.state == stateUnknown || c.header.state != c.state || c.state < 3 {
		t.Errorf("%+v, %d values of targets, %q, %v", c.header, c.state, c.problems, err)
	}
}
