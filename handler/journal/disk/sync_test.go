package disk

import (
	"context"
	"errors"
	"testing"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

func TestDiskDurable(t *testing.T) {
	hold := &brokenStore{}
	d := openDir(t, Config{Dir: t.TempDir(), wrap: hold.wrap})
	durable := func(seq, ltime uint64) {
		t.Helper()
		if s, l := d.Durable(); s != seq || l != ltime {
			t.Errorf("durable: %d, Lamport time %d, want %d, %d", s, l, seq, ltime)
		}
	}
	durable(0, 0)
	journals.MustAppend(t, d.Journal, journals.User(10, ""), handler.NewQuery(99, "", nil, time.Now()))
	testkit.MustSync(t, d)
	durable(2, 10)
	hold.block()
	journals.MustAppend(t, d.Journal, journals.User(20, ""))
	durable(2, 10)
	journals.MustAppend(t, d.Journal, journals.User(8, "late"))
	durable(2, 7)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Sync(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	hold.mend()
	testkit.MustSync(t, d)
	durable(4, 20)
	dir := d.cfg.Dir
	testkit.MustClose(t, d)
	testkit.MustSync(t, d) // it is
	d = openDir(t, Config{Dir: dir, Limits: journal.Config{MaxEvents: 1}})
	durable(4, 20)
	journals.MustAppend(t, d.Journal, journals.User(30, ""))
	testkit.MustSync(t, d) // the history has let go of 20
	journals.MustAppend(t, d.Journal, journals.User(25, "late"))
	testkit.MustClose(t, d)
	d = openDir(t, Config{Dir: dir})
	durable(6, 30)
}
