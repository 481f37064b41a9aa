package gossip

import (
	"errors"
	"io"
	"log"
	"strconv"
	"testing"
	"testing/synctest"

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
	// As agents of ours have it. Under the race detector most of the time would go into it.
	conf.MemberlistConfig.EnableCompression = false
	return conf
}

func openBare(t *testing.T, c Config) *Node {
	t.Helper()
	n, err := Open(c)
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
		n := openBare(t, Config{Serf: bareConfig(memnet.New(memnet.Config{}), "a", "10.0.0.1:7946", nil)})
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
		n := openBare(t, Config{Serf: bareConfig(memnet.New(memnet.Config{}), "a", "10.0.0.1:7946", events)})
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
