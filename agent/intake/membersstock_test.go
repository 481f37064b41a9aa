package intake

import (
	"bytes"
	"cmp"
	"io"
	"log"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"
	"pgregory.net/rapid"

	"agentctl/agent/memnet"
)

// Where members change once each while changes are gathered, scripts and streams get
// what serf tells: the same members in the same events at the same time.
func TestSingleChangesAreToldAsSerfTellsThem(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		changes := drawChanges(rt, serf.EventMemberReap)
		seen := map[string]time.Duration{}
		now, updated := time.Duration(0), false
		for i, c := range changes {
			before, known := seen[c.member.Name]
			// Serf tells an update again and again, from here on.
			if known && now+c.pause < before+gatherPeriod || updated {
				changes = changes[:i]
				break
			}
			now += c.pause
			seen[c.member.Name] = now
			updated = c.typ == serf.EventMemberUpdate
		}
		_, ran, stream := tellAll(t, changes, 10*time.Second)
		want := stockTells(t, changes)
		for who, got := range map[string][]told{"a script": ran, "a stream": stream} {
			if diff := gocmp.Diff(want, sorted(got), gocmp.AllowUnexported(told{})); diff != "" {
				rt.Fatalf("%s (-serf +ours):\n%s", who, diff)
			}
		}
	})
}

// sorted puts events of a time, and members of an event, in an order: serf's is that
// of a map.
func sorted(events []told) []told {
	events = slices.Clone(events)
	for i := range events {
		lines := slices.Sorted(strings.Lines(events[i].lines))
		events[i].lines = strings.Join(lines, "")
	}
	slices.SortFunc(events, func(a, b told) int { return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(a.typ, b.typ)) })
	return events
}

// stockTells gives changes to a serf node that gathers by itself, and returns what
// its channel gets of them.
func stockTells(t *testing.T, changes []drawn) (events []told) {
	synctest.Test(t, func(t *testing.T) {
		conf := serf.DefaultConfig()
		ch := make(chan serf.Event, 1024)
		conf.NodeName, conf.EventCh = "stock", ch
		conf.Logger = log.New(io.Discard, "", 0)
		conf.CoalescePeriod, conf.QuiescentPeriod = gatherPeriod, gatherQuiet
		conf.MemberlistConfig.Logger = conf.Logger
		conf.MemberlistConfig.Transport = memnet.New(memnet.Config{}).Add("10.0.0.1:7946")
		s, err := serf.Create(conf)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * gatherPeriod) // it tells of itself
		<-ch
		began, quit, done := time.Now(), make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for {
				select {
				case e := <-ch:
					events = append(events, told{time.Since(began), e.EventType().String(), string(linesOf(e))})
				case <-quit:
					return
				}
			}
		}()
		for i, c := range changes {
			time.Sleep(c.pause)
			feedSerf(t, conf, c.change, i+1)
		}
		time.Sleep(2 * gatherPeriod)
		close(quit)
		<-done
		if err := s.Shutdown(); err != nil {
			t.Error(err)
		}
	})
	return sorted(events)
}

// feedSerf has a change happen to a serf node, as memberlist and members tell it. n
// is a Lamport time that grows.
func feedSerf(t *testing.T, conf *serf.Config, c change, n int) {
	encode := func(typ byte, v any) []byte {
		buf := bytes.NewBuffer([]byte{typ})
		if err := codec.NewEncoder(buf, new(codec.MsgpackHandle)).Encode(v); err != nil {
			t.Fatal(err)
		}
		return buf.Bytes()
	}
	const tags, leave = 255, 0 // how serf begins tags, and a message that a member leaves
	ml := conf.MemberlistConfig
	node := &memberlist.Node{Name: c.member.Name, Addr: c.member.Addr, Meta: encode(tags, c.member.Tags)}
	switch c.typ {
	case serf.EventMemberJoin:
		ml.Events.NotifyJoin(node)
	case serf.EventMemberUpdate:
		ml.Events.NotifyUpdate(node)
	case serf.EventMemberFailed:
		ml.Events.NotifyLeave(node)
	case serf.EventMemberLeave:
		ml.Delegate.NotifyMsg(encode(leave, map[string]any{"LTime": n, "Node": node.Name}))
		ml.Events.NotifyLeave(node)
	}
}
