package agent

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/agent/config"
	"agentctl/agent/memnet"
	"agentctl/scripts/testkit/memory"
)

// Steps run backwards, each once, whatever the others come to; the errors are
// joined, each under its name.
func TestStopStack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s stopStack
		var ran []string
		step := func(name string, err error) {
			s.push(name, time.Minute, func(context.Context) error {
				ran = append(ran, name)
				return err
			})
		}
		first, third := errors.New("no room"), errors.New("no answer")
		step("first", first)
		step("second", nil)
		s.push("hanging", time.Second, func(ctx context.Context) error {
			ran = append(ran, "hanging")
			<-ctx.Done()
			return context.Cause(ctx)
		})
		step("third", third)
		began := time.Now()
		err := s.drain()
		if want := []string{"third", "hanging", "second", "first"}; !slices.Equal(ran, want) {
			t.Errorf("ran %v, want %v", ran, want)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("a step that hangs took %v, and has a second", took)
		}
		if !errors.Is(err, first) || !errors.Is(err, third) || strings.Count(err.Error(), "\n") != 2 ||
			!strings.Contains(err.Error(), "first: no room") || !strings.Contains(err.Error(), "hanging: not done within 1s") {
			t.Errorf("%v", err)
		}
		if err := s.drain(); err != nil || len(ran) != 4 {
			t.Errorf("drained again: %v, %v", ran, err)
		}
	})
}

// stuckTransport is one whose end waits for something that does not come.
type stuckTransport struct {
	*memnet.Transport
	mended chan struct{}
}

func (t *stuckTransport) Shutdown() error {
	<-t.mended
	return t.Transport.Shutdown()
}

// Serf's end cannot be cancelled, and waits for its ports and its snapshot. Where
// that hangs, the agent ends without it, and says so.
func TestSerfsEndIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hub, _ := newHub(t)
		stuck := &stuckTransport{memory.Network(t).Add(memory.Addr()), make(chan struct{})}
		o := options(func(o *config.Options) { o.PeerLinks = false })
		a, err := NewOn(Ports{Gossip: stuck, RPC: memnet.NoListener()}, compiled(t, o), hub, Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Hour, func() { close(stuck.mended) })
		began := time.Now()
		if err := a.Close(); err == nil || err.Error() != "closing gossip: not done within 1m0s" {
			t.Errorf("Close: %v", err)
		}
		if took := time.Since(began); took != closeWait {
			t.Errorf("it took %v", took)
		}
		time.Sleep(2 * time.Hour)
	})
}
