package gossip

import (
	"errors"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/memnet"
)

// bareConfig is a configuration on a network in memory.
func bareConfig(network *memnet.Network, name, addr string, events chan serf.Event) *serf.Config {
	conf := serf.DefaultConfig()
	conf.NodeName, conf.EventCh = name, events
	conf.Logger = log.New(io.Discard, "", 0)
	conf.MemberlistConfig.Logger, conf.LogOutput, conf.MemberlistConfig.LogOutput = conf.Logger, nil, nil
	conf.MemberlistConfig.Transport = network.Add(addr)
	return conf
}

func openBare(t *testing.T, conf *serf.Config) *Node {
	t.Helper()
	n, err := Open(conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Shutdown(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func message(t *testing.T, ltime uint64, name string) []byte {
	t.Helper()
	raw, err := (&Message{LTime: serf.LamportTime(ltime), Name: name}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// The event clock is the one that serf shows, whatever moves it.
func TestEventClockIsSerfs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := openBare(t, bareConfig(memnet.New(memnet.Config{}), "a", "10.0.0.1:7946", nil))
		for _, move := range []func(){
			func() {},
			func() { n.Inject(message(t, 40, "e")) },
			func() { n.Witness(99) },
			func() { n.Witness(7) }, // which is behind
			func() {
				if err := n.UserEvent("e", nil, false); err != nil {
					t.Fatal(err)
				}
			},
		} {
			move()
			if got, want := strconv.FormatUint(n.EventClock(), 10), n.Stats()["event_time"]; got != want {
				t.Errorf("the clock is %s, serf says %s", got, want)
			}
		}
		if got := n.EventClock(); got != 101 {
			t.Errorf("the clock is at %d, want 101", got)
		}
		if allocs := testing.AllocsPerRun(100, func() { n.EventClock() }); allocs > 0 {
			t.Errorf("reading the clock allocates %v times", allocs)
		}
	})
}

// Serf takes what is 512 Lamport times behind its clock, and drops what is one
// more behind; a clock that was set forward by Witness changes nothing about that.
func TestWindowIsSerfs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := make(chan serf.Event, 16)
		n := openBare(t, bareConfig(memnet.New(memnet.Config{}), "a", "10.0.0.1:7946", events))
		const newest = 5000
		n.Inject(message(t, newest, "newest"))
		for behind, name := range map[uint64]string{Window - 1: "within", Window: "beyond"} {
			n.Inject(message(t, newest+1-behind-1, name))
		}
		synctest.Wait()
		got := map[string]bool{}
		for len(events) > 0 {
			if u, ok := (<-events).(serf.UserEvent); ok {
				got[u.Name] = true
			}
		}
		if !got["newest"] || !got["within"] || got["beyond"] {
			t.Errorf("serf took %v", got)
		}
	})
}

// passing counts what goes through the place in front of serf.
type passing struct {
	memberlist.Delegate
	messages, syncs int
}

func (p *passing) NotifyMsg(raw []byte) {
	p.messages++
	p.Delegate.NotifyMsg(raw)
}

func (p *passing) MergeRemoteState(buf []byte, join bool) {
	p.syncs++
	p.Delegate.MergeRemoteState(buf, join)
}

// asked does something when memberlist asks for the address to advertise.
type asked struct {
	memberlist.NodeAwareTransport
	then func()
}

func (t *asked) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	t.then()
	return t.NodeAwareTransport.FinalAdvertiseAddr(ip, port)
}

// The delegate of this package is the one that memberlist calls, for messages and
// for full syncs alike, and serf gets what it passes on.
func TestDelegateStandsInFrontOfSerf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		events := make(chan serf.Event, 64)
		conf := bareConfig(network, "a", "10.0.0.1:7946", events)
		seen := &passing{}
		conf.MemberlistConfig.Transport = &asked{NodeAwareTransport: conf.MemberlistConfig.Transport.(memberlist.NodeAwareTransport), then: func() {
			if front, ok := conf.MemberlistConfig.Delegate.(*frontDelegate); ok && seen.Delegate == nil {
				seen.Delegate, front.Delegate = front.Delegate, seen
			}
		}}
		a := openBare(t, conf)
		if seen.Delegate == nil {
			t.Fatalf("memberlist calls a %T", conf.MemberlistConfig.Delegate)
		}
		b := openBare(t, bareConfig(network, "b", "10.0.0.2:7946", nil))
		if _, err := b.Join([]string{"10.0.0.1:7946"}, false); err != nil {
			t.Fatal(err)
		}
		if err := b.UserEvent("kong", []byte("x"), false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if seen.messages == 0 || seen.syncs == 0 {
			t.Errorf("%d messages and %d full syncs came by it", seen.messages, seen.syncs)
		}
		took := false
		for len(events) > 0 {
			u, ok := (<-events).(serf.UserEvent)
			took = took || ok && u.Name == "kong"
		}
		if !took || a.NumNodes() != 2 {
			t.Errorf("serf has %d members, and took the event: %v", a.NumNodes(), took)
		}
	})
}

// A snapshot line of this package is one that serf goes by at its next start.
func TestSnapshotLineIsSerfs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "snapshot")
	if err := os.WriteFile(path, []byte("event-clock: 9000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	conf := bareConfig(memnet.New(memnet.Config{}), "a", "10.0.0.1:7946", make(chan serf.Event, 16))
	conf.SnapshotPath = path
	SetSnapshotClock(conf, 2000, nil)
	n := openBare(t, conf)
	if got, want := n.EventClock(), uint64(2000-Window+1); got != want {
		text, _ := os.ReadFile(path)
		t.Errorf("serf begins at %d, want %d, with %q", got, want, text)
	}
}

// A machine without a private address learns which flag to give.
func TestCreateErrorNamesTheFlag(t *testing.T) {
	const none = "Failed to create memberlist: failed to get final advertise address: no private IP address found, and explicit IP not provided"
	for text, want := range map[string]string{
		none:    "gossip: " + none + "; name the address that other members reach this node at with -advertise or -bind",
		"other": "gossip: other",
	} {
		if got := createError(errors.New(text)).Error(); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}
