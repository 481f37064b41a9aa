package repair_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent"
	"agentctl/agent/config"
	"agentctl/agent/logs"
	"agentctl/agent/memnet"
	"agentctl/agent/peers"
	"agentctl/handler"
	"agentctl/scripts/testkit"
)

// bubble runs a test on its own clock. Yamux keeps timers in a pool, and one
// that comes from another bubble panics when it is used: two collections empty
// the pool, since what the first finds there, it keeps.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	empty := func() { runtime.GC(); runtime.GC() }
	empty()
	defer empty()
	synctest.Test(t, test)
}

// mute is a listener that nobody dials: in a bubble no real port may be open.
type mute struct {
	once sync.Once
	done chan struct{}
}

func (m *mute) Accept() (net.Conn, error) { <-m.done; return nil, net.ErrClosed }

func (m *mute) Close() error { m.once.Do(func() { close(m.done) }); return nil }

func (m *mute) Addr() net.Addr { return memnet.Addr("nowhere") }

// wholeAgent is an agent on a network in memory, and what its targets would get.
type wholeAgent struct {
	*agent.Agent
	transport *memnet.Transport
	mu        sync.Mutex
	seen      map[string]int // user events, by payload
}

func (a *wholeAgent) had() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.seen)
}

func (a *wholeAgent) alive() (n int) {
	for _, m := range a.Members() {
		if m.Status == serf.StatusAlive {
			n++
		}
	}
	return n
}

// agents make a cluster, which runs until the end of the test.
func agents(t *testing.T, network *memnet.Network, size int, change ...func(*config.Options)) (all []*wholeAgent) {
	hub := logs.New(logs.Config{Out: io.Discard, Level: slog.LevelError})
	t.Cleanup(func() {
		hub.Close()
		time.Sleep(time.Minute) // probes, and queries whose time has to run out
	})
	for i := range size {
		o := config.DefaultOptions()
		o.NodeName, o.HTTPAddr, o.EventHandlers = fmt.Sprint("n", i), config.Off, []string{"user:of-no-test=true"}
		for _, c := range change {
			c(&o)
		}
		transport := network.Add(fmt.Sprintf("10.0.0.%d:7946", i+1))
		conf, err := config.Compile(config.Input{Defaults: o})
		if err != nil {
			t.Fatal(err)
		}
		a := &wholeAgent{transport: transport, seen: map[string]int{}}
		hooks := agent.Hooks{Taken: func(e handler.Event) {
			if e.Type == handler.User {
				a.mu.Lock()
				defer a.mu.Unlock()
				a.seen[string(e.Payload)]++
			}
		}}
		if a.Agent, err = agent.NewOn(agent.Ports{Gossip: transport, RPC: &mute{done: make(chan struct{})}}, conf, hub, hooks); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(context.Background())
		done := make(chan error, 1)
		go func() { done <- a.Run(ctx) }()
		t.Cleanup(func() {
			cancel(agent.ErrNoLeave)
			<-done
		})
		if all = append(all, a); i > 0 {
			if _, err := a.Join([]string{all[0].GossipAddr()}, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	time.Sleep(time.Minute)
	return all
}

func every(all []*wholeAgent, cond func(a *wholeAgent) bool) bool {
	for _, a := range all {
		if !cond(a) {
			return false
		}
	}
	return true
}

// A cluster is cut in two, and one node of each half publishes. Once the heal is
// noticed anywhere, all have all within five seconds: in a small cluster, and in
// one where each knows more than enough peers of its own half, or has neighbours in trees; after a cut that
// is too short for anyone to be found to have failed, and after a long one. Each
// event has its own Lamport time, and serf remembers 512.
func TestAllHaveAllSoonAfterAHeal(t *testing.T) {
	few := testkit.Setting(t, "AGENTCTL_TEST_HEAL_EVENTS", 100, 600) // of many nodes
	type cut struct {
		size   int
		cut    time.Duration
		events int
	}
	cuts := []cut{{4, 3 * time.Second, 20}, {4, 45 * time.Second, 800}, {18, 45 * time.Second, few}}
	if testkit.Long() {
		cuts = append(cuts, cut{peers.FullyLinked + 6, 45 * time.Second, few}) // with near peers
	}
	for _, tt := range cuts {
		t.Run(fmt.Sprintf("%d nodes, %v, %d events a side", tt.size, tt.cut, tt.events), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				network := memnet.New(memnet.Config{MinDelay: 200 * time.Microsecond, MaxDelay: 2 * time.Millisecond})
				all := agents(t, network, tt.size)
				var half []string
				for _, a := range all[:tt.size/2] {
					half = append(half, a.GossipAddr())
				}
				network.Part(half...)
				cut := time.Now()
				for i := range tt.events {
					time.Sleep(6 * time.Millisecond)
					for side, a := range []*wholeAgent{all[0], all[tt.size-1]} {
						if err := a.Publish(t.Context(), "kong", fmt.Appendf(nil, "%d %d", side, i), false); err != nil {
							t.Fatal(err)
						}
					}
				}
				time.Sleep(max(time.Second, tt.cut-time.Since(cut)))
				if !every(all, func(a *wholeAgent) bool { return a.had() == tt.events }) {
					t.Fatal("the halves are not cut, or not one each")
				}
				alive := all[0].alive()
				network.Part()
				healed, noticed := time.Now(), time.Time{}
				for !every(all, func(a *wholeAgent) bool { return a.had() == 2*tt.events }) {
					if time.Since(healed) > 5*time.Minute {
						t.Fatal("not all have all after five minutes")
					}
					if noticed.IsZero() && !every(all, func(a *wholeAgent) bool { return a.alive() == alive && a.had() == tt.events }) {
						noticed = time.Now()
					}
					time.Sleep(50 * time.Millisecond)
				}
				if noticed.IsZero() {
					noticed = healed
				}
				took := time.Since(noticed)
				t.Logf("%d of %d were alive to the first; noticed after %v, all have all %v later", alive, tt.size, noticed.Sub(healed), took)
				if took > 5*time.Second {
					t.Errorf("all have all %v after the heal was noticed", took)
				}
			})
		})
	}
}
