package broadcast

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The cases hold with few nodes what they are to hold with many. The clock is that of the
// simulation, and the figures are the same on every machine.
func TestCasesWithFewNodes(t *testing.T) {
	const nodes, events = 60, 4
	cases := Cases(1, nodes, events)
	cases = append(cases, Cases(1, 100, 20)[1])
	for _, cfg := range cases {
		t.Run(cfg.Name, func(t *testing.T) {
			r, err := Run(cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("last %.1f, %.1f ms, %.2f and %.2f times its size, %.1f packets, %.1f crossings, %d late",
				r.Percentile(50), r.Percentile(99), r.Mean, r.Most, r.Packets, r.Crossings, r.Late)
			if len(r.Last) != cfg.Events || r.Missing != 0 || r.Twice != 0 {
				t.Errorf("%d events, %d deliveries missing and %d too many", len(r.Last), r.Missing, r.Twice)
			}
			if r.Links > 32 || r.PublisherPackets > 40 || r.PublisherBytes > 12_000 {
				t.Errorf("%d links; %.1f packets and %.0f bytes at the publisher", r.Links, r.PublisherPackets, r.PublisherBytes)
			}
			median, most := 8.0, 100.0
			if cfg.Every < apart {
				median = 30
			}
			switch {
			case cfg.Nodes < nodes: // no node passes an event on, and none says that it has it
				median, most = 2, 202
			case cfg.Network.Between != nil:
				median, most = 1.2*150, 2000
				if cfg.Every < apart {
					median = most
				}
			}
			if p50, p99 := r.Percentile(50), r.Percentile(99); p50 > median || p99 > most {
				t.Errorf("the last node has an event after %.1f ms, and %.1f at most; want %.0f and %.0f", p50, p99, median, most)
			}
			if breaks := cfg.Stop > 0 || cfg.Churn > 0; (r.Gossip > 0) != breaks {
				t.Errorf("gossip of %.0f %% of the events is let go; nodes stop: %v", 100*r.Gossip, breaks)
			}
			if cfg.Stock > 0 && (len(r.StockLast) != cfg.Events || r.StockMissing != 0 || r.StockLast[cfg.Events-1] > 20 || r.StockMost == cfg.Stock) {
				t.Errorf("stock members: the last after %v ms, %d missing, %d of one node", r.StockLast, r.StockMissing, r.StockMost)
			}
			if r.Crossings > 4 {
				t.Errorf("%.1f copies of an event come to a region", r.Crossings)
			}
			if cfg.Nodes >= nodes && (r.Mean > 3 || r.Most > 20) {
				t.Errorf("a node sends %.2f times an event's size, and %.1f at most", r.Mean, r.Most)
			}
		})
	}
}

func TestTheSeedDecides(t *testing.T) {
	cfg := Cases(7, 50, 4)[1]
	first, err := Run(cfg)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Run(cfg)
	if diff := cmp.Diff(first, again); err != nil || diff != "" {
		t.Errorf("%v: %s", err, diff)
	}
	cfg.Seed++
	if other, err := Run(cfg); err != nil || cmp.Equal(first.Last, other.Last) {
		t.Errorf("another seed: %v, %v", other.Last, err)
	}
}

// A lost segment holds up those behind it, until it is sent again or three later ones
// have come.
func TestALostSegmentHoldsUpOthers(t *testing.T) {
	const way, again = 10 * time.Millisecond, 200 * time.Millisecond
	for behind, want := range map[int]time.Duration{1: way + again, 3: 3*way + 3*time.Millisecond} {
		c, err := newCluster(Config{Nodes: 2, Size: 8, Network: Network{MinDelay: way, Resend: again}})
		if err != nil {
			t.Fatal(err)
		}
		publish := func() {
			if err := c.publish(c.nodes[0]); err != nil {
				t.Fatal(err)
			}
			c.run(time.Millisecond)
		}
		c.cfg.Network.Loss = 1
		publish()
		for range behind {
			publish()
		}
		c.run(time.Second)
		for i, p := range c.published {
			if got := p.at + p.last; got != want {
				t.Errorf("%d behind it: segment %d came after %v, want %v", behind, i, got, want)
			}
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	if _, err := Run(Config{Nodes: 1}); err == nil {
		t.Error("one node is taken")
	}
	stops := Cases(1, 30, 1)[0]
	stops.Stop = 0.1
	if _, err := Run(stops); err != nil {
		t.Error(err)
	}
	stops.Noticed = 0
	if _, err := Run(stops); err == nil {
		t.Error("links that break as soon as a node stops are taken")
	}
}
