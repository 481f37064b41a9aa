package repair

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// run has a node compare at its own pace.
func (n *modelNode) run(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(n.rep.round(n.c.ctx))
	}
}

// A liar that lets go of events at each comparison has a node flushed at once, and then
// ever more seldom. The log names it. Honest events come all the same.
func TestForgedTrims(t *testing.T) {
	inCluster(t, []int{1000, 1000, 1000}, func(t *testing.T, c *modelCluster) {
		n, honest, liar := c.nodes[0], c.nodes[1], c.nodes[2]
		var log bytes.Buffer
		n.rep.sampled.Logger = slog.New(slog.NewTextHandler(&log, nil))
		liar.liar, liar.lie = true, "a trim that can be"
		began := time.Now()
		for i := range 60 {
			c.tell(1, honest)
			n.run(time.Minute)
			if len(n.log) != i+1 {
				t.Fatalf("%d of %d events after a minute more", len(n.log), i+1)
			}
		}
		var at []time.Duration
		for _, gap := range n.gaps {
			at = append(at, gap.Sub(began).Round(time.Minute))
		}
		t.Logf("flushes in an hour: %d, after %v", len(at), at)
		if len(at) < 3 || len(at) > 8 {
			t.Errorf("%d flushes", len(at))
		}
		if said := strings.Count(log.String(), "peer="+liar.name); said == 0 || said > 100 || strings.Contains(log.String(), "peer="+honest.name) {
			t.Errorf("%d lines name the liar:\n%.2000s", said, log.String())
		}
	})
}

// An honest gap among forged ones leads to a flush at once, since its own peer had none
// before. If that one had one, too, the flush comes later, but it comes.
func TestAnHonestGapAmongForgedOnes(t *testing.T) {
	inCluster(t, []int{1000, 5, 1000}, func(t *testing.T, c *modelCluster) {
		n, honest, liar := c.nodes[0], c.nodes[1], c.nodes[2]
		liar.liar, liar.lie = true, "a trim that can be"
		n.run(5 * time.Minute)
		for again := range 3 {
			c.tell(50, honest)
			published := time.Now()
			since := func(gap time.Time) bool { return !gap.Before(published) }
			n.run(time.Minute)
			if again == 0 && !slices.ContainsFunc(n.gaps, since) {
				t.Error("no flush within a minute, and it is the first for this peer's sake")
			}
			n.run(gapWaits.Max)
			if !slices.ContainsFunc(n.gaps, since) {
				t.Errorf("gap %d of the honest peer is forgotten among the forged ones", again+1)
			}
		}
	})
}

// A liar under ever new names has a flush a minute at most.
func TestForgedTrimsUnderManyNames(t *testing.T) {
	inCluster(t, []int{1000, 1000}, func(t *testing.T, c *modelCluster) {
		n, liar := c.nodes[0], c.nodes[1]
		liar.liar, liar.lie = true, "a trim that can be"
		names := 0
		n.rep.cfg.Peers = func() []string {
			names++
			liar.name = fmt.Sprint("liar", names)
			return []string{liar.name}
		}
		n.run(30 * time.Minute)
		t.Logf("%d flushes for the sake of %d names", len(n.gaps), names)
		if most := gapBurst + 31; len(n.gaps) > most || names < 10*most {
			t.Errorf("%d flushes", len(n.gaps))
		}
	})
}

// A flush that waits is made when it is due, also if the peer that it is for has gone.
func TestAGapThatWaitsOutlivesItsPeer(t *testing.T) {
	inCluster(t, []int{1000, 1000}, func(t *testing.T, c *modelCluster) {
		n, liar := c.nodes[0], c.nodes[1]
		liar.liar, liar.lie = true, "a trim that can be"
		n.run(45 * time.Second)
		holds(t, n, 0, 1)
		liar.crash(false)
		n.run(gapWaits.Min)
		holds(t, n, 0, 2)
	})
}

// The number that an answer gives while a comparison goes on is no reason for a flush
// either, if it is above the head that the comparison began with.
func TestALaterTrimThatCannotBe(t *testing.T) {
	inCluster(t, []int{1000, 1000}, func(t *testing.T, c *modelCluster) {
		n, liar := c.nodes[0], c.nodes[1]
		n.rep.state.base = 1 << 20 // so that late events are asked for
		liar.liar, liar.lie = true, "a trim at the end"
		n.run(time.Hour)
		holds(t, n, 0, 0)
		if len(n.rep.state.peers) > 0 {
			t.Error("the liar counts as compared")
		}
	})
}

// The next process owes the flush that waited when this one ended, also where the peer
// that it was for is gone.
func TestAGapThatWaitsOutlivesTheProcess(t *testing.T) {
	inCluster(t, []int{1000, 1000}, func(t *testing.T, c *modelCluster) {
		n, liar := c.nodes[0], c.nodes[1]
		liar.liar, liar.lie = true, "a trim that can be"
		n.run(45 * time.Second)
		if holds(t, n, 0, 1); n.rep.state.pending == "" {
			t.Fatal("no flush waits")
		}
		n.crash(false)
		liar.crash(false)
		n.start()
		holds(t, n, 0, 2)
		n.crash(false)
		n.start()
		holds(t, n, 0, 2)
	})
}

// A trim above the log's head cannot be: it flushes nothing, is counted, and is logged
// with the name of the liar.
func TestTrimsThatCannotBe(t *testing.T) {
	inCluster(t, []int{1000, 1000}, func(t *testing.T, c *modelCluster) {
		n, liar := c.nodes[0], c.nodes[1]
		var log bytes.Buffer
		reg := prometheus.NewPedanticRegistry()
		n.rep.sampled.Logger, n.rep.metrics = slog.New(slog.NewTextHandler(&log, nil)), newMetrics(reg)
		liar.liar, liar.lie = true, "a trim above the head"
		n.run(time.Hour)
		holds(t, n, 0, 0)
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		if count := counted(families, "agentctl_repair_comparisons_total refused"); count < 100 || !strings.Contains(log.String(), "peer="+liar.name) {
			t.Errorf("%v refused, and the log says:\n%s", count, log.String())
		}
	})
}

// Those who have to wait the longest are remembered the longest.
func TestManyStrikes(t *testing.T) {
	s := strikes{}
	for i := range maxPeers + 10 {
		s.add(fmt.Sprint(i), time.UnixMilli(int64(i)), gapWaits)
	}
	if _, first := s["9"]; len(s) != maxPeers || first {
		t.Errorf("%d, with the first: %v", len(s), first)
	}
	s.add("20", time.UnixMilli(20), gapWaits)
	if k := s["20"]; k.count != 2 || k.until != time.UnixMilli(20).Add(2*gapWaits.Min) {
		t.Errorf("the second: %+v", k)
	}
	s.add("20", time.UnixMilli(20).Add(time.Hour), gapWaits)
	if k := s["20"]; k.count != 1 {
		t.Errorf("after an hour: %+v", k)
	}
}
