package agent

import (
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"agentctl/agent/config"
	"agentctl/agent/intake"
	"agentctl/agent/peers"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

const (
	oldKey = "T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s="
	newKey = "5K9OtfP7efFrNKe5WCQvXvnaXJ5cWP0SvXiwe0kkjM4="
)

func wan(o *config.Options) { o.Profile = "wan" }

// Agents of ours get events over links, whatever the cluster is like. See
// TestLinksAtAnyAddress in scripts/systest/cluster for addresses of a machine.
func TestEventsGoOverLinks(t *testing.T) {
	const events = 300
	var last atomic.Int64 // of the IPv6 addresses
	for name, change := range map[string]func(*config.Options){
		"plain":      func(*config.Options) {},
		"encrypted":  encrypted,
		"IPv6":       func(o *config.Options) { o.Bind = fmt.Sprintf("[fd00::%x]:7946", last.Add(1)) },
		"advertised": func(o *config.Options) { o.Bind, o.Advertise = "0.0.0.0:7946", memory.Addr() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				memory.Delay(t, 0, 2*time.Millisecond)
				a, b, c := startWithGateway(t, wan, change), startWithGateway(t, wan, change), startWithGateway(t, wan, change)
				join(t, a.node, b.node, c.node)
				host, _, _ := net.SplitHostPort(b.GossipAddr())
				if want, _, err := net.SplitHostPort(b.opts.Advertise); err == nil && host != want {
					t.Errorf("others know a node by %s, and not by %s", host, want)
				}
				want := a.findsPeer(t, "first", b.node, c.node)
				before := a.onLinks(t, "queued")
				want = append(want, a.publish(t, "then", events)...)
				if got := a.onLinks(t, "queued") - before; got != 2*events {
					t.Errorf("%d messages for links, want an event each to two", got)
				}
				testkit.WaitFor(t, "all of them to be acknowledged", func() bool { return a.acknowledged(t) == a.onLinks(t, "queued") })
				for _, n := range []gatewayNode{a, b, c} {
					n.has(t, want)
				}
				if got := a.took(t, intake.Local); got != len(want) {
					t.Errorf("%d of %d events were local to the publisher", got, len(want))
				}
				for _, n := range []gatewayNode{b, c} {
					link, gossip, repair := n.took(t, intake.Link), n.took(t, intake.Gossip), n.took(t, intake.Repair)
					if link+gossip+repair != len(want) || link == 0 {
						t.Errorf("%d events came first over links, %d by gossip and %d by repair, want %d in all", link, gossip, repair, len(want))
					}
				}
				// Who was asked knows who asked it, and answers over links of its own.
				want = append(want, b.publish(t, "back", 1)...)
				testkit.WaitFor(t, "the answer to be acknowledged", func() bool { return b.acknowledged(t) > 0 })
				a.has(t, want)
			})
		})
	}
}

// Each way can be turned off, on either side, and gossip alone brings all. Who
// has no links is no peer, and gets events straight.
func TestWaysThatAreTurnedOff(t *testing.T) {
	const events = 30
	ways := func(links, direct bool) func(*config.Options) {
		return func(o *config.Options) { o.PeerLinks, o.DirectSend = links, direct }
	}
	for name, tt := range map[string]struct {
		from, to         func(*config.Options)
		linked, straight bool // by which an event goes in the end
	}{
		"no links":         {ways(false, true), ways(false, true), false, true},
		"nothing straight": {ways(true, false), ways(true, false), true, false},
		"gossip alone":     {ways(false, false), ways(false, false), false, false},
		"links to none":    {ways(true, true), ways(false, true), false, true},
		"links from none":  {ways(false, true), ways(true, true), false, true},
		"to gossip alone":  {ways(true, false), ways(false, false), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b := startWithGateway(t, tt.from), startWithGateway(t, tt.to)
				join(t, a.node, b.node)
				var want []string
				if tt.linked {
					want = a.findsPeer(t, "first", b.node)
				}
				linked, straight := a.onLinks(t, "queued"), a.straight(t)
				want = append(want, a.publish(t, "then", events)...)
				for _, n := range []gatewayNode{a, b} {
					n.has(t, want)
				}
				if tt.linked {
					testkit.WaitFor(t, "events to be acknowledged", func() bool { return a.acknowledged(t) == linked+events })
				} else if got := a.acknowledged(t) + b.took(t, intake.Link); got != 0 {
					t.Errorf("%d events went over links", got)
				}
				if tt.straight {
					testkit.WaitFor(t, "events to be sent straight", func() bool { return a.straight(t)-straight == events })
				} else if got := a.straight(t); got != 0 {
					t.Errorf("%d events went straight", got)
				}
			})
		})
	}
}

// Keys are changed while events flow: none is lost, and links go on with the
// new key.
func TestKeysAreRotatedUnderTraffic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		memory.Delay(t, 0, 2*time.Millisecond)
		a, b, c := startWithGateway(t, encrypted), startWithGateway(t, encrypted), startWithGateway(t, encrypted)
		all := []gatewayNode{a, b, c}
		join(t, a.node, b.node, c.node)
		want := a.findsPeer(t, "first", b.node, c.node)
		stop := a.traffic(t, "meanwhile")
		for _, step := range []func() error{
			func() error { _, err := a.keys().InstallKey(newKey); return err },
			func() error { _, err := b.keys().UseKey(newKey); return err },
			func() error { _, err := c.keys().RemoveKey(oldKey); return err },
		} {
			testkit.WaitFor(t, "all to do it", func() bool { return step() == nil })
		}
		if res, err := a.keys().ListKeys(); err != nil || len(res.Keys) != 1 || res.Keys[newKey] != 3 {
			t.Errorf("the keys are %v, %v; want the new one alone", res.Keys, err)
		}
		want = append(want, stop()...)
		for _, n := range all {
			n.has(t, want)
		}
		a.links.KeysChanged() // it looks at them each second; until then the old links live
		before := a.acknowledged(t)
		want = append(want, a.publish(t, "last", 10)...)
		testkit.WaitFor(t, "links with the new key", func() bool { return a.acknowledged(t)-before >= 20 })
		for _, n := range all {
			n.has(t, want)
		}
	})
}

// A node that is replaced by one of the same name at the same address gets
// events the best way that it knows.
func TestANodeThatIsReplaced(t *testing.T) {
	for name, links := range map[string]bool{"by its like": true, "by one without links": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b := startWithGateway(t), startWithGateway(t, bind(memory.Addr()))
				join(t, a.node, b.node)
				first := a.findsPeer(t, "first", b.node)
				first = append(first, a.publish(t, "before", 20)...)
				b.has(t, first)
				addr := b.GossipAddr()
				b.end(ErrNoLeave)
				if err := b.stopped(t); err != ErrNoLeave {
					t.Fatal(err)
				}
				next := startWithGateway(t, bind(addr), func(o *config.Options) {
					o.NodeName, o.PeerLinks = b.opts.NodeName, links
					o.StartJoin = []string{a.GossipAddr()}
				})
				<-next.Joined()
				testkit.WaitFor(t, "it to be alive", func() bool { return a.sees(next.node) == "alive" && next.sees(a.node) == "alive" })
				acks, straight := a.acknowledged(t), a.straight(t)
				n := 0
				var want []string
				testkit.WaitFor(t, "an event to go to the new one", func() bool {
					awaitRoutes()
					want = append(want, a.publish(t, fmt.Sprint("after ", n), 1)...)
					n++
					if links {
						return a.acknowledged(t) > acks && next.took(t, intake.Link) > 0
					}
					// It may go straight before the new one is asked, too.
					return next.log.Count("messageQueryType: "+peers.QueryName) > 0 && a.straight(t) > straight
				})
				testkit.WaitFor(t, "all to come", func() bool { return len(next.gw.Of("user")) >= len(want) })
				seen := map[string]bool{}
				for _, p := range next.gw.Of("user") { // with some from before, which serf's sync brings
					if seen[p.ID] {
						t.Errorf("posted twice: %v", p)
					}
					seen[p.ID] = true
				}
				a.has(t, append(first, want...))
			})
		})
	}
}

// Agents stop while events flow between them: what was taken is posted, Run
// ends, and TestMain sees to it that no goroutine is left.
func TestStopUnderTraffic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		memory.Delay(t, 0, 2*time.Millisecond)
		patient := func(o *config.Options) { o.DrainTimeout = testkit.Patience }
		a, b, c := startWithGateway(t, patient), startWithGateway(t, patient), startWithGateway(t)
		join(t, a.node, b.node, c.node)
		fromA, fromB := a.findsPeer(t, "a", b.node, c.node), b.findsPeer(t, "b", a.node, c.node)
		stopA, stopB := a.traffic(t, "a's"), b.traffic(t, "b's")
		testkit.WaitFor(t, "events to flow over links", func() bool { return c.took(t, intake.Link) > 50 })
		for _, n := range []gatewayNode{b, a} {
			n.end(nil)
			if err := n.stopped(t); err != nil {
				t.Errorf("Run: %v", err)
			}
			if n.unstopped != nil {
				t.Errorf("not all stopped in time: %v", n.unstopped)
			}
		}
		fromA, fromB = append(fromA, stopA()...), append(fromB, stopB()...)
		if err := a.Publish(t.Context(), "e", nil, false); err != intake.ErrStopping {
			t.Errorf("publishing at one that has stopped: %v", err)
		}
		for n, want := range map[gatewayNode][]string{a: fromA, b: fromB} {
			if n.log.Count("events were not delivered before the end") != 0 {
				t.Errorf("%s ended with events that were not delivered", n.opts.NodeName)
			}
			posted := map[string]bool{}
			for _, p := range n.gw.Of("user") {
				posted[p.Body] = true
			}
			for _, p := range want {
				if !posted[p] {
					t.Errorf("%s took %q and did not post it", n.opts.NodeName, p)
				}
			}
		}
	})
}

// A reload of who gets events from a peer loses none of them.
func TestReloadUnderTrafficOfPeers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		memory.Delay(t, 0, 2*time.Millisecond)
		a := startWithGateway(t)
		r := newRecorder(t)
		with := func(n int) []config.TargetOptions {
			return []config.TargetOptions{{Name: "changes", URL: r.URL, Events: "user:e", Headers: map[string]string{"X-N": fmt.Sprint(n)}}}
		}
		b := startRunning(t, func(o *config.Options) { o.Targets = with(0) })
		join(t, a.node, b)
		want := a.findsPeer(t, "first", b)
		stop := a.traffic(t, "meanwhile")
		for n := range 20 {
			o := b.opts.Options
			o.Targets = with(n + 1)
			if err := b.Reload(compiled(t, o)); err != nil {
				t.Fatal(err)
			}
			had := b.took(t, intake.Link)
			testkit.WaitFor(t, "more events over the link", func() bool { return b.took(t, intake.Link) > had })
		}
		want = append(want, stop()...)
		testkit.WaitFor(t, "all events", func() bool { return len(r.got()) >= len(want) })
		got := map[string]int{}
		for _, body := range r.got() {
			got[body]++
		}
		for _, p := range want {
			if got[p] != 1 {
				t.Errorf("%q was posted %d times", p, got[p])
			}
		}
	})
}

// Neither what was known of it, nor what waits for it on links.
func TestNothingIsKeptForAMemberThatIsGone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := startWithGateway(t), startWithGateway(t)
		join(t, a.node, b.node)
		a.has(t, a.findsPeer(t, "first", b.node))
		known := func() bool { return a.peers.Knows(b.opts.NodeName) }
		forgotten := func() int { return int(testkit.Counter(t, a.Metrics(), "agentctl_link_dropped_total", "forgotten")) }
		b.end(ErrNoLeave)
		if err := b.stopped(t); err != ErrNoLeave {
			t.Fatal(err)
		}
		a.publish(t, "to one that is gone", 10) // before it is found to have failed
		waiting := a.onLinks(t, "queued") - a.acknowledged(t)
		if waiting < 10 {
			t.Errorf("%d messages wait for one that is gone, want 10 at least", waiting)
		}
		testkit.WaitFor(t, "it to be forgotten", func() bool { return !known() && forgotten() == waiting })
	})
}

// What is known of a member goes as soon as serf finds that the member has failed. Gateways
// hear of that later, since changes are gathered for them.
func TestAFailedMemberIsForgottenAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := start(t), start(t)
		join(t, a, b)
		name := b.opts.NodeName
		testkit.WaitFor(t, "a peer", func() bool { return a.peers.Is(name) && a.links.Open(name) })
		b.crash(t)
		for a.countMembers("failed") == 0 {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(500 * time.Millisecond) // serf's gathering takes a second at least
		if a.peers.Knows(name) {
			t.Error("a member that has failed is still known to be a peer")
		}
	})
}
