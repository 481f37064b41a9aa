package journal_test

import (
	"testing"
	"testing/synctest"

	"agentctl/handler/journal"
	"agentctl/handler/journal/disk"
	"agentctl/scripts/testkit/disks"
)

// eachJournal runs a test once with each kind of journal, in a bubble.
func eachJournal(t *testing.T, test func(t *testing.T, newJournal func(journal.Config) *journal.Journal)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			test(t, func(cfg journal.Config) *journal.Journal { return journal.New(cfg) })
		})
	})
	t.Run("disk", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			test(t, func(cfg journal.Config) *journal.Journal {
				return disks.Open(t, disk.Config{Dir: t.TempDir(), Limits: cfg, NoSync: true}).Journal
			})
		})
	})
}
