package agent

import (
	"reflect"
	"slices"
	"sync"
	"testing"
	"unsafe"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// lockOf is the lock in a field of a struct, which another package has for itself.
func lockOf(t *testing.T, owner any, field string) sync.Locker {
	t.Helper()
	v := reflect.ValueOf(owner).Elem().FieldByName(field)
	if !v.IsValid() {
		t.Fatalf("%T has no field %s", owner, field)
	}
	lock, ok := reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Interface().(sync.Locker)
	if !ok {
		t.Fatalf("%s of %T is no lock", field, owner)
	}
	return lock
}

// A lock that the agent cannot do without is looked at, too. In real time, since the
// clock of a bubble stands still while somebody waits for a lock.
func TestHealthzLooksAtTheLocks(t *testing.T) {
	t.Parallel()
	n := start(t, handlers("user:kong=http://"+memory.Addr()))
	testkit.WaitFor(t, "all to answer", func() bool { return len(n.stuck(t)) == 0 })
	for reason, lock := range map[string]sync.Locker{
		"the delivery of a target does not say how it stands": &n.sinks.mu,
		"the intake does not take events from serf":           lockOf(t, n.intake, "mu"),
		"serf does not say who is a member":                   lockOf(t, n.serf.Serf, "memberLock"),
		"memberlist does not say how many members there are":  lockOf(t, n.serf.Memberlist(), "nodeLock"),
		"the journal does not say what it holds":              lockOf(t, n.journal, "mu"),
	} {
		lock.Lock()
		published := make(chan error, 1)
		go func() { published <- n.serf.UserEvent("e", []byte(reason), false) }() // the loops take a lock for an event only
		testkit.WaitFor(t, reason, func() bool { return slices.Contains(n.stuck(t), reason) })
		lock.Unlock()
		if err := <-published; err != nil {
			t.Error(err)
		}
		testkit.WaitFor(t, "all to answer again", func() bool { return len(n.stuck(t)) == 0 })
	}
}
