package disk

import (
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler/journal"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

// After a restart, too, a target refuses from its first burial after the last event that
// it took.
func TestDiskKnowsWhatRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		taken, buried []uint64
		refuses       uint64 // since this burial; 0 if it does not
	}{
		"all refused":           {nil, []uint64{1, 2, 3, 4}, 1},
		"the last ones refused": {[]uint64{2}, []uint64{1, 3, 4}, 3},
		"the last one taken":    {[]uint64{4}, []uint64{1, 2, 3}, 0},
		"one waits":             {[]uint64{1}, []uint64{2}, 2},
		"nothing refused":       {[]uint64{1, 2, 3, 4}, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := Config{Dir: t.TempDir()}
				d := openDir(t, cfg)
				c := journals.OpenCursor(t, d.Journal, "t")
				journals.MustAppend(t, d.Journal, journals.User(1, ""), journals.User(2, ""), journals.User(3, ""), journals.User(4, ""))
				journals.Ready(t, c)
				at := map[uint64]time.Time{}
				for seq := range uint64(5) {
					time.Sleep(time.Second)
					for _, taken := range test.taken {
						if taken == seq {
							journals.Ack(t, c, seq)
						}
					}
					for _, buried := range test.buried {
						if buried == seq {
							at[seq] = time.Now()
							if err := c.Bury(seq, journal.Burial{}); err != nil {
								t.Fatal(err)
							}
						}
					}
				}
				want := at[test.refuses]
				testkit.Want(t, "since, in this process", c.Status().RefusingSince.Equal(want), true)
				testkit.MustClose(t, d)
				d = openDir(t, cfg)
				defer testkit.MustClose(t, d)
				testkit.Want(t, "since, in the next", journals.OpenCursor(t, d.Journal, "t").Status().RefusingSince.Equal(want), true)
			})
		})
	}
}
