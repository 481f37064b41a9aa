package membership

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"agentctl/scripts/testkit"
)

func viewMembers(names ...string) (members []serf.Member) {
	for _, name := range names {
		members = append(members, serf.Member{Name: name, Status: serf.StatusAlive})
	}
	return append(members, serf.Member{Name: "gone", Status: serf.StatusFailed})
}

// level is what a gauge shows.
func level(t *testing.T, g prometheus.Gauge) float64 {
	t.Helper()
	var m dto.Metric
	if err := g.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetGauge().GetValue()
}

func TestPeersThatSeeOthers(t *testing.T) {
	t.Parallel()
	theirs := map[string][]byte{
		"same":    viewOf(append(viewMembers("b", "a"), serf.Member{Name: "left", Status: serf.StatusLeft})).encode(),
		"fewer":   viewOf(viewMembers("a")).encode(),
		"others":  viewOf(viewMembers("a", "c")).encode(),
		"later":   append(viewOf(viewMembers("a", "b")).encode(), "what a later version appends"...),
		"cut":     viewOf(viewMembers("a", "b")).encode()[:4],
		"version": {viewVersion + 1, 2},
		"empty":   {},
	}
	for name, want := range map[string]struct{ asked, differing float64 }{
		"same": {1, 0}, "fewer": {1, 1}, "others": {1, 1}, "later": {1, 0},
		"cut": {}, "version": {}, "empty": {}, "away": {},
	} {
		logger, log := testkit.NewLog()
		v := NewViews(ViewsConfig{
			Members: func() []serf.Member { return viewMembers("a", "b") },
			Peers:   func() []string { return []string{name} },
			Ask: func(_ context.Context, name string, _ []byte) ([]byte, error) {
				if answer, ok := theirs[name]; ok {
					return answer, nil
				}
				return nil, errors.New("away")
			},
			Logger: logger, Metrics: prometheus.NewRegistry(),
		})
		v.round(t.Context())
		v.round(t.Context())
		if asked, differing := level(t, v.asked), level(t, v.differ); asked != want.asked || differing != want.differing {
			t.Errorf("%s: %v asked, %v differing, want %v", name, asked, differing, want)
		}
		if lines := log.Count("sees other members"); lines != int(want.differing) {
			t.Errorf("%s: %d lines in the log for two rounds:\n%s", name, lines, log)
		}
	}
}

// The log tells of peers that see others at an interval, and names them all;
// neither their number nor their names make it more.
func TestPeersThatSeeOthersAreLoggedSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, log := testkit.NewLog()
		var peers []string
		v := NewViews(ViewsConfig{
			Members: func() []serf.Member { return viewMembers("a", "b") },
			Peers:   func() []string { return peers },
			Ask: func(context.Context, string, []byte) ([]byte, error) {
				return viewOf(viewMembers("a")).encode(), nil
			},
			Logger: logger, // no metrics
		})
		for i := range 100 {
			peers = []string{fmt.Sprint("peer-", i, "y"), fmt.Sprint("peer-", i, "x")}
			v.round(t.Context())
		}
		if lines := log.Count("sees other members"); lines != 1 || log.Count(`peers_see="peer-0x: 1, peer-0y: 1" this_node_sees=2`) != 1 {
			t.Errorf("%d lines in the log for 100 rounds at a time:\n%s", lines, log)
		}
		time.Sleep(10 * time.Minute)
		v.round(t.Context())
		if log.Count("sees other members", "peer-99x", "lines_left_out=99") != 1 {
			t.Errorf("it is not said again:\n%s", log)
		}
	})
}

// In a large cluster one peer is asked, seldom, and mostly one to which there is a link.
func TestPeersAreAskedSeldomInALargeCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, _ := testkit.NewLog()
		asked := map[string]int{}
		v := NewViews(ViewsConfig{
			Members: func() []serf.Member { return viewMembers("near", "far") },
			Peers:   func() []string { return []string{"far", "far", "far", "near"} },
			Near:    func() []string { return []string{"near"} },
			Ask: func(_ context.Context, name string, _ []byte) ([]byte, error) {
				asked[name]++
				return nil, errors.New("away")
			},
			Logger: logger,
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Hour)
		defer cancel()
		if err := v.Run(ctx); err != nil {
			t.Error(err)
		}
		want := float64(10*time.Hour) / float64(viewsEvery*viewsPause)
		if all := float64(asked["near"] + asked["far"]); all < want*0.9 || all > want*1.1 {
			t.Errorf("%v questions in ten hours, want %v", all, want)
		}
		if far := asked["far"] * viewsFar; far < asked["near"] || far > 2*asked["near"] {
			t.Errorf("asked %v", asked)
		}
	})
}
