package journal_test

import (
	"testing"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

func TestJournalRetention(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(journal.Config) *journal.Journal) {
		j := newJournal(journal.Config{MaxEvents: 3, MaxAge: time.Hour})
		c := journals.OpenCursor(t, j, "a")
		for i := range uint64(5) {
			journals.MustAppend(t, j, handler.NewQuery(i, "", nil, time.Now()))
			time.Sleep(time.Minute)
		}
		testkit.Want(t, "retained by count", journals.LTimes(t, j.Events(0)), []uint64{2, 3, 4})
		testkit.Want(t, "from a sequence number", journals.LTimes(t, j.Events(5)), []uint64{4})
		time.Sleep(58 * time.Minute)
		testkit.Want(t, "retained by age", journals.LTimes(t, j.Events(0)), []uint64{3, 4})
		time.Sleep(time.Hour)
		testkit.Want(t, "all aged", journals.LTimes(t, j.Events(0)), nil)
		testkit.Want(t, "a target still gets them all", journals.Ready(t, c), []uint64{0, 1, 2, 3, 4})
		testkit.Want(t, "head", j.Head(), 5)
	})
}

// Age lets go of nothing that serf may send again.
func TestJournalRetainsWhatSerfSendsAgain(t *testing.T) {
	eachJournal(t, func(t *testing.T, newJournal func(journal.Config) *journal.Journal) {
		j := newJournal(journal.Config{MaxEvents: 4, MaxAge: time.Hour})
		aged := func() []uint64 {
			time.Sleep(2 * time.Hour)
			return journals.LTimes(t, j.Events(0))
		}
		journals.MustAppend(t, j, handler.NewQuery(9000, "", nil, time.Now()), journals.User(488, ""), handler.NewQuery(1, "", nil, time.Now()), journals.User(999, ""))
		testkit.Want(t, "the newest 512 and what is among them", aged(), []uint64{488, 1, 999})
		journals.MustAppend(t, j, journals.User(1000, ""))
		testkit.Want(t, "one that serf has forgotten", aged(), []uint64{999, 1000})
		journals.MustAppend(t, j, journals.User(1001, ""), journals.User(1002, ""), journals.User(1003, ""))
		testkit.Want(t, "by count", aged(), []uint64{1000, 1001, 1002, 1003})
	})
}
