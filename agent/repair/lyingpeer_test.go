package repair_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/link"
	"agentctl/agent/memnet"
	"agentctl/agent/repair"
	"agentctl/scripts/testkit"
)

// lyingPeer is a member with links that answers each question of repair with a lie.
func lyingPeer(t *testing.T, transport *memnet.Transport, victims []*wholeAgent, lie string) {
	t.Helper()
	links, err := link.New(link.Config{
		Name: "liar", Transport: transport, Deliver: func(link.Peer, [][]byte) link.Ack { return link.Ack{} },
		Handlers: map[link.Kind]link.Handler{
			link.KindRepair: func(_ context.Context, _ link.Peer, req []byte) ([]byte, error) { return repair.LyingAnswer(lie, req) },
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	conf := serf.DefaultConfig()
	conf.NodeName, conf.Logger = "liar", log.New(io.Discard, "", 0)
	conf.MemberlistConfig.Name, conf.MemberlistConfig.Transport, conf.MemberlistConfig.Logger = "liar", links.Transport(), conf.Logger
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- links.Run(ctx) }()
	s, err := serf.Create(conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Shutdown()
		cancel()
		<-done
	})
	for i, v := range victims {
		if _, err := s.Join([]string{v.GossipAddr()}, true); err != nil {
			t.Fatal(err)
		}
		// The handshake shows the victim that it is a peer.
		if is, err := links.IsPeer(ctx, link.Peer{Name: fmt.Sprint("n", i), Addr: v.GossipAddr()}); !is || err != nil {
			t.Fatalf("the liar is not taken for a peer: %v", err)
		}
	}
}

// Whole agents, one of whose peers lies in what it says of its journal: events come as
// fast as ever, honest peers are compared with as often, and gateways are flushed rarely.
func TestAPeerThatLiesToAgents(t *testing.T) {
	for _, tt := range []struct {
		lie     string
		gaps    float64 // at most
		refused bool
	}{
		{"none", 0, false},
		{"trims that cannot be", 0, true},
		{"trims that can be", 4, false},
		{"pages without end", 0, false},
	} {
		t.Run(tt.lie, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				network := memnet.New(memnet.Config{MinDelay: 200 * time.Microsecond, MaxDelay: 2 * time.Millisecond})
				all := agents(t, network, 3)
				if tt.lie != "none" {
					lyingPeer(t, network.Add("10.0.0.99:7946"), all, tt.lie)
				}
				count := func(name, label string) float64 { return testkit.Counter(t, all[0].Metrics(), name, label) }
				before := count("agentctl_repair_comparisons_total", "same")
				const events, every = 200, 3 * time.Second // ten minutes
				var took []time.Duration
				for i := range events {
					began := time.Now()
					if err := all[1].Publish(t.Context(), "kong", fmt.Append(nil, i), false); err != nil {
						t.Fatal(err)
					}
					for all[0].had() <= i && time.Since(began) < time.Minute {
						time.Sleep(100 * time.Microsecond)
					}
					took = append(took, time.Since(began))
					time.Sleep(time.Until(began.Add(every)))
				}
				slices.Sort(took)
				same := count("agentctl_repair_comparisons_total", "same") - before
				gaps := testkit.CounterWith(t, all[0].Metrics(), "agentctl_repair_gaps_total", nil)
				refused := count("agentctl_repair_comparisons_total", "refused")
				t.Logf("%d events: p50 %v, p99 %v; %v comparisons found the same, %v were refused; flushes: %v",
					all[0].had(), took[events/2], took[events*99/100], same, refused, gaps)
				if all[0].had() != events || took[events*99/100] > 50*time.Millisecond {
					t.Errorf("%d of %d events came", all[0].had(), events)
				}
				if gaps > tt.gaps || (refused > 0) != tt.refused || same < 100 {
					t.Errorf("flushes: %v, refused: %v, the same: %v", gaps, refused, same)
				}
			})
		})
	}
}
