package boltfile

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

// Whatever bbolt has made of its pages, by puts and deletes in any order, is
// read without a fault, and as bbolt reads it.
func TestBoltFile(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	path := filepath.Join(t.TempDir(), "db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true})
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
		f, err := Open(bytes.NewReader(file), int64(len(file)), fault)
		if err != nil {
			t.Fatal(err)
		}
		read := 0
		f.Walk(func(string) {}, func(bucket string, k, v []byte) {
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
