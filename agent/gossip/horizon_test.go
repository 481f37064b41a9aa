package gossip

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/memnet"
	"agentctl/handler"
)

// encoded is a message of serf's.
func encoded(t *testing.T, typ byte, m any) []byte {
	t.Helper()
	buf := bytes.NewBuffer([]byte{typ})
	if err := codec.NewEncoder(buf, &userMessageFormat).Encode(m); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// clocks are serf's three.
func clocks(n *Node) string {
	s := n.Stats()
	return fmt.Sprint(s["member_time"], s["event_time"], s["query_time"])
}

// A time that no cluster counts up to changes nothing, whatever the message is. Serf
// itself believes each of them.
func TestTimesThatCannotBe(t *testing.T) {
	for _, m := range []struct {
		what string
		typ  byte
	}{{"leave", leaveMessageType}, {"join", joinMessageType}, {"event", userMessageType}, {"query", queryMessageType}} {
		t.Run(m.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := memnet.New(memnet.Config{})
				var refused []uint64
				n := new(rig).open(t, network, "a", "10.0.0.1:7946", func(c *Config) {
					c.Refused = func(ltime uint64) { refused = append(refused, ltime) }
				})
				front := &frontDelegate{Delegate: n.delegate, receive: n.receive, past: n.past, denier: n.denier, horizons: n.horizons, crowd: n.crowd}
				before := clocks(n.Node)
				want := []uint64{handler.MaxLTime + 1, handler.EndLTime, 1 << 63, 1<<64 - 2, 1<<64 - 1}
				for _, ltime := range want {
					front.NotifyMsg(encoded(t, m.typ, struct {
						LTime      uint64
						Name, Node string
					}{ltime, "far", "b"}))
				}
				synctest.Wait()
				if after := clocks(n.Node); after != before {
					t.Errorf("the clocks were %s, and are %s", before, after)
				}
				if diff := cmp.Diff(want, refused); diff != "" || len(n.names()) > 0 || len(passed(n.events)) > 0 {
					t.Errorf("received %q; refused (-want +got):\n%s", n.names(), diff)
				}
				// A far jump by itself is none: a cluster that was cut may make one.
				front.NotifyMsg(encoded(t, m.typ, struct {
					LTime      uint64
					Name, Node string
				}{handler.MaxLTime, "jump", "b"}))
				if clocks(n.Node) == before {
					t.Error("the highest time that may be was not taken")
				}
			})
		})
	}
}

// A liar brings a cluster as far as the horizon. The cluster counts on from there.
func TestTheHorizonIsNoEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		a := new(rig).open(t, network, "a", "10.0.0.1:7946", func(*Config) {})
		b := openBare(t, Config{Serf: bareConfig(network, "b", "10.0.0.2:7946", nil)})
		if _, err := b.Join([]string{"10.0.0.1:7946"}, false); err != nil {
			t.Fatal(err)
		}
		raw := message(t, handler.MaxLTime, "edge")
		for _, n := range []*Node{a.Node, b} {
			(&frontDelegate{Delegate: n.delegate, past: n.past, denier: n.denier, horizons: n.horizons, crowd: n.crowd}).NotifyMsg(raw)
		}
		publish(t, b, "1", "2", "3")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		for _, name := range []string{"1", "2", "3"} {
			if !slices.Contains(a.names(), name) {
				t.Errorf("received %q, and not %s", a.names(), name)
			}
		}
		if got, want := a.EventClock(), uint64(handler.MaxLTime+4); got != want {
			t.Errorf("the clock is at %d, want %d", got, want)
		}
	})
}

// Nothing that cannot be is taken from a full sync, and the rest of it is. A node that was
// away while somebody brought its cluster beyond the horizon believes that in the end:
// it hears of nothing else. One honest full sync in between shows that it is a lie.
func TestFullSyncsBeyondTheHorizon(t *testing.T) {
	for name, honest := range map[string]bool{"among liars": true, "where all are": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var lost uint64
				n := new(rig).open(t, memnet.New(memnet.Config{}), "a", "10.0.0.1:7946", func(c *Config) { c.Lost = func(n uint64) { lost += n } })
				front := &frontDelegate{Delegate: n.delegate, receive: n.receive, past: n.past, denier: n.denier, horizons: n.horizons, crowd: n.crowd}
				const far = handler.MaxLTime + 1<<20
				sync := func(clock serf.LamportTime) {
					s := syncState{LTime: clock, EventLTime: clock, QueryLTime: clock,
						StatusLTimes: map[string]serf.LamportTime{"b": clock - 1}, Events: []*recentEvents{nil, {LTime: 7}, {LTime: clock - 1}}}
					for _, e := range s.Events {
						if e != nil {
							e.Events = append(e.Events, struct {
								Name    string
								Payload []byte
							}{fmt.Sprint(e.LTime), nil})
						}
					}
					raw, err := s.encode()
					if err != nil {
						t.Fatal(err)
					}
					front.MergeRemoteState(raw, false)
				}
				before := n.EventClock()
				sync(1<<64 - 1)
				if n.EventClock() > max(before, 8) || !slices.Equal(n.names(), []string{"7"}) {
					t.Errorf("the clock is at %d, received %q", n.EventClock(), n.names())
				}
				for range 2 * int(horizonPatience/(30*time.Second)) {
					sync(far)
					if honest {
						sync(100)
					}
					time.Sleep(30 * time.Second)
				}
				if believes := n.EventClock() == far; believes == honest {
					t.Errorf("the clock is at %d", n.EventClock())
				}
				if has := slices.Contains(n.names(), fmt.Sprint(uint64(far-1))); has == honest || (lost > 0) == honest {
					t.Errorf("received %q, lost %d", n.names(), lost)
				}
			})
		})
	}
}

// A snapshot that a program wrote that believed such a time does no harm.
func TestSnapshotBeyondTheHorizon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "snapshot")
		const far, rest = 1<<64 - 512, "alive: b 10.0.0.2:7946\nclock: 5\nevent-clock: 6\n"
		if err := os.WriteFile(path, fmt.Appendf(nil, "%sevent-clock: %d\nclock: %d\nquery-clock: %d\n", rest, uint64(far), uint64(far), uint64(far)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := mendSnapshot(path); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != rest {
			t.Errorf("the snapshot is %q (%v)", b, err)
		}
		conf := bareConfig(memnet.New(memnet.Config{}), "a", "10.0.0.1:7946", nil)
		conf.SnapshotPath = path
		if n := openBare(t, Config{Serf: conf}); n.EventClock() != 7 {
			t.Errorf("the clock begins at %d", n.EventClock())
		}
	})
}
