package disk

import (
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

// A file in which an earlier version of this program has kept a Lamport time that cannot
// be does not bring it back. What it knows of honest events stays.
func TestLamportTimesThatCannotBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Dir: t.TempDir()}
		d := openDir(t, cfg)
		const far = 1<<64 - 512
		forged := handler.NewUser(far, "forged", nil, time.Now())
		journals.MustAppend(t, d.Journal, journals.User(40, ""), forged)
		testkit.MustSync(t, d)
		err := d.store.(*boltStore).db.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket(journalBucket)
			h, n, err := decodeHeader(headerKey, b.Get(headerKey))
			if err != nil {
				return err
			}
			h.LTime = far // as it was kept
			return b.Put(headerKey, encodeHeader(headerKey, h, n))
		})
		if err != nil {
			t.Fatal(err)
		}
		testkit.MustClose(t, d)

		for range 2 { // the second time with what the first has written
			d = openDir(t, cfg)
			if _, ltime := d.Durable(); ltime != 40 {
				t.Errorf("the highest Lamport time is %d", ltime)
			}
			x, err := d.Extent()
			testkit.Want(t, "extent", x, journal.Extent{Head: d.Head(), Newest: 40})
			if err != nil || d.Forgot(41) || !d.Had(forged.ID) {
				t.Errorf("error %v, it forgot events: %v, it has the forged one: %v", err, d.Forgot(41), d.Had(forged.ID))
			}
			journals.MustAppend(t, d.Journal, journals.User(d.Head(), ""))
			testkit.MustClose(t, d)
		}
	})
}
