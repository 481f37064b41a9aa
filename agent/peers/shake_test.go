package peers

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/link"
	"agentctl/scripts/testkit"
)

// Members that packets do not get to are asked over TCP, once for each question, and a
// stock one three times at most until it is forgotten.
func TestMembersAreAskedOverTCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		shaken := map[string]int{}
		logger, _ := testkit.NewLog()
		members := []string{"open", "ours", "stock", "busy"}
		p := New(Config{
			Self: "self", Members: membersNamed(members...), Links: true, Logger: logger,
			Query: func(string, []byte, *serf.QueryParam) (*serf.QueryResponse, error) {
				return nil, errors.New("nobody hears it")
			},
			Pass: func(_ context.Context, name string) bool { return name == "open" },
			Shake: func(_ context.Context, m link.Peer) (bool, error) {
				mu.Lock()
				defer mu.Unlock()
				shaken[m.Name]++
				if m.Addr != "10.0.0.1:7946" {
					t.Errorf("%s is asked at %s", m.Name, m.Addr)
				}
				if m.Name == "busy" && shaken[m.Name] < 5 {
					return false, errors.New("it is busy")
				}
				return m.Name != "stock", nil
			},
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		hours := func(n int) {
			for range n * 3600 {
				p.Look(members)
				time.Sleep(time.Second)
			}
		}
		check := func(want map[string]int) {
			t.Helper()
			mu.Lock()
			defer mu.Unlock()
			for name, n := range want {
				if shaken[name] != n {
					t.Errorf("%s was asked %d times over TCP, want %d", name, shaken[name], n)
				}
			}
		}
		p.Look(members)
		synctest.Wait()
		check(map[string]int{"open": 0, "ours": 1, "stock": 1, "busy": 1})
		if !p.Knows("ours") {
			t.Error("a peer is not known")
		}
		hours(3)
		check(map[string]int{"open": 0, "ours": 1, "stock": mostShakes, "busy": 5})
		if known := slices.Sorted(slices.Values(p.Known())); !slices.Equal(known, []string{"busy", "ours"}) {
			t.Errorf("peers are %q", known)
		}
		p.Forget("stock") // it may come back as another program
		hours(1)
		check(map[string]int{"stock": 2 * mostShakes})
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
