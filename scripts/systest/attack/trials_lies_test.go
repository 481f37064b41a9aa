//go:build linux

package attack

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"agentctl/agent/link"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
)

// lieTrials are of a member that lies about journals, its own and others'. In a plain
// cluster it needs no key.
var lieTrials = append(lies(plainMember, false), lies(memberWithKey, true)...)

func lies(by way, keyed bool) (all []trial) {
	for _, l := range []struct {
		name, aim string
		do        func(*stand) error
	}{
		{"watermarks on hearsay", "events that are not fetched", tellHearsay},
		{"trims that cannot be", "flushes", tellTrims(comparedAnswer{head: 5, trimmed: 1 << 50, same: true}, 0)},
		{"trims that can be", "flushes", tellTrims(comparedAnswer{head: 1 << 50, trimmed: 1<<50 - 1, same: true}, 2)},
		{"pages without end", "time of repair", tellPages},
	} {
		all = append(all, trial{way: by, name: l.name, aim: l.aim, keyed: keyed, bitBefore: true, waits: true, do: attempt(l.do)})
	}
	return all
}

// late is a newcomer, which joined when the cluster's clock was high, and events of lower
// Lamport times that come to the publisher alone. The newcomer gets them only by a
// comparison with the publisher.
type late struct {
	newcomer *proc.Node
	liar     *liar
}

// lateEvents is how many there are.
const lateEvents = 5

func (s *stand) startLate(answer lie) (l *late, err error) {
	const clock = 1 << 20 // so far ahead that serf does not pass the late events on
	g := s.gossiper(s.publisher)
	g.serf(message(serfUser, serfEvent{LTime: clock, Name: "clock"}))
	if err := await("the cluster's clock is high", func() bool { return s.eventTime(s.publisher) > clock && s.eventTime(s.receiver) > clock }); err != nil {
		return nil, err
	}
	l = new(late)
	l.newcomer, err = s.tryStart("newcomer", "-join="+s.publisher.Gossip, "-config-file="+s.config("newcomer-targets",
		fmt.Sprintf(`{"targets": [{"name": "newcomer", "url": %q, "events": "user:late"}]}`, s.gateway.URL+"/newcomer")))
	if err != nil {
		return nil, err
	}
	if err := await("the newcomer has joined", func() bool { return s.alive(l.newcomer) == 3 }); err != nil {
		return nil, err
	}
	l.liar, err = s.newLiar(answer)
	return l, err
}

// publish gives the late events to the publisher, over a link.
func (l *late) publish(s *stand) error {
	for i := range lateEvents {
		msg := message(serfUser, serfEvent{LTime: uint64(100 + i), Name: "late", Payload: fmt.Append(nil, i)})
		if err := l.liar.links.Broadcast([]link.Peer{peer(s.publisher)}, msg); err != nil {
			return err
		}
	}
	return nil
}

// lacking is how many of the late events the newcomer's gateway has not got.
func (l *late) lacking(s *stand) int {
	got := map[string]bool{}
	for _, p := range s.posted() {
		if p.path == "/newcomer" {
			got[p.body] = true
		}
	}
	return lateEvents - len(got)
}

// tellHearsay claims to have compared the honest logs far beyond their ends. The liar
// leaves before the late events come to one of them.
func tellHearsay(s *stand) error {
	var claim atomic.Pointer[[]byte]
	l, err := s.startLate(func(_ context.Context, kind byte) ([]byte, error) {
		if answer := claim.Load(); answer != nil && kind == compareKind {
			return *answer, nil
		}
		return nil, errors.New("nothing is here")
	})
	if err != nil {
		return err
	}
	hearsay := map[uint64]uint64{}
	for _, n := range s.nodes() {
		if _, err := l.liar.Join([]string{n.Gossip}, true); err != nil {
			return err
		}
		incarnation, err := l.liar.incarnation(n)
		if err != nil {
			return err
		}
		hearsay[incarnation] = far
	}
	answer := comparedAnswer{head: 5, watermark: 5, same: true, hearsay: hearsay}.encode()
	claim.Store(&answer)
	if err := l.liar.meet(s.publisher, l.newcomer); err != nil {
		return err
	}
	if err := await("the newcomer has asked the liar", func() bool { return l.liar.askedBy(l.newcomer) >= 2 }); err != nil {
		return err
	}
	if err := l.liar.Leave(); err != nil {
		return err
	}
	if err := l.publish(s); err != nil {
		return err
	}
	if !testkit.Poll(func() bool { return l.lacking(s) == 0 }) {
		s.bite("%d of %d late events are never fetched", l.lacking(s), lateEvents)
	}
	return nil
}

// tellTrims claims at each comparison that events were let go of. Gateways may be flushed
// so often at most.
func tellTrims(claim comparedAnswer, most int) func(*stand) error {
	return func(s *stand) error {
		var more atomic.Uint64
		l, err := s.newLiar(func(context.Context, byte) ([]byte, error) {
			c, n := claim, more.Add(10)
			c.head, c.trimmed = c.head+n, c.trimmed+n
			return c.encode(), nil
		})
		if err != nil {
			return err
		}
		if err := l.meet(s.nodes()...); err != nil {
			return err
		}
		if err := reach("the receiver has asked the liar", 12, func() int { return l.askedBy(s.receiver) }); err != nil {
			return err
		}
		if n := s.flushes(); n > most {
			s.bite("%d flushes", n)
		}
		return nil
	}
}

// tellPages lists IDs without end, a page a second.
func tellPages(s *stand) error {
	const most = 20 // pages that may come before what honest peers have
	var pages atomic.Int64
	l, err := s.startLate(func(_ context.Context, kind byte) ([]byte, error) {
		switch kind {
		case compareKind:
			return comparedAnswer{head: far, late: true}.encode(), nil
		case idsKind:
			pages.Add(1)
			time.Sleep(time.Second)
			return endlessPage(), nil
		case eventsKind:
			return goneEvent(), nil
		}
		return nil, errors.New("nothing is here")
	})
	if err != nil {
		return err
	}
	if err := l.liar.meet(l.newcomer); err != nil {
		return err
	}
	if err := await("the newcomer reads pages", func() bool { return pages.Load() > 2 }); err != nil {
		return err
	}
	if err := l.publish(s); err != nil {
		return err
	}
	begun := pages.Load()
	testkit.Poll(func() bool { return l.lacking(s) == 0 || pages.Load()-begun > most })
	if l.lacking(s) > 0 {
		s.bite("nothing is fetched from others while %d pages come", pages.Load()-begun)
	}
	return nil
}
