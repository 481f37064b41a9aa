package broadcast

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/serf/serf"
)

// changesWait is how long changes of members gather: many come together.
const changesWait = 100 * time.Millisecond

// changes are those of members that nobody has seen to. There is one entry for each member
// at most.
type changes struct {
	raised chan struct{} // holds a value if there are any

	mu    sync.Mutex // never held while anything is called
	of    map[string]change
	order []string
}

// change is what has become of a member. Who is gone may have joined since, and then it may
// be another program.
type change struct {
	gone, joined bool
	member       serf.Member // as it joined
}

// Changed is told of changes of members as they come: of those that are gone, and those that
// have joined. It never waits: serf may hold its locks meanwhile.
func (b *Broadcast) Changed(e serf.MemberEvent) {
	c := &b.changes
	c.mu.Lock()
	for _, m := range e.Members {
		now, known := c.of[m.Name]
		if !known {
			c.order = append(c.order, m.Name)
		}
		switch e.Type {
		case serf.EventMemberLeave, serf.EventMemberFailed, serf.EventMemberReap:
			now = change{gone: true}
		case serf.EventMemberJoin:
			now.joined, now.member = true, m
		}
		c.of[m.Name] = now
	}
	c.mu.Unlock()
	raise(c.raised)
}

// take are the changes, in the order in which the members came.
func (c *changes) take() (all []change, names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range c.order {
		all = append(all, c.of[name])
	}
	names, c.order = c.order, nil
	c.of = map[string]change{} // a map that was cleared keeps its memory
	return all, names
}

// seeToChanges does so until ctx ends.
func (b *Broadcast) seeToChanges(ctx context.Context) {
	for {
		select {
		case <-b.changes.raised:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(changesWait):
			b.seeTo(b.changes.take())
		case <-ctx.Done():
			return
		}
	}
}

func (b *Broadcast) seeTo(all []change, names []string) {
	if b.tree != nil {
		raise(b.tree.changed)
	}
	var joined []serf.Member
	for i, c := range all {
		if c.gone {
			b.forget(names[i])
		}
		if c.joined {
			joined = append(joined, c.member)
		}
	}
	if len(joined) > 0 && b.cfg.Met != nil {
		b.cfg.Met(joined)
	}
}
