package rpc

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/coordinate"
	"github.com/hashicorp/serf/serf"
)

// serfAgent is an agent over a real serf node on loopback.
type serfAgent struct {
	*serf.Serf
	name   string
	fan    fakeAgent // its subscriptions, and no more of it
	events chan serf.Event

	mu   sync.Mutex
	tags map[string]string
}

// newSerfAgent starts a node. With key, its gossip is encrypted. It is ended
// when the test is.
func newSerfAgent(t testing.TB, name string, key []byte) *serfAgent {
	t.Helper()
	a := &serfAgent{
		name:   name,
		events: make(chan serf.Event, 1024),
		tags:   map[string]string{"role": "test"},
	}
	conf := serf.DefaultConfig()
	conf.Init()
	conf.NodeName = name
	conf.Tags = maps.Clone(a.tags)
	conf.EventCh = a.events
	conf.LogOutput = a
	conf.MemberlistConfig = memberlist.DefaultLocalConfig()
	conf.QueryTimeoutMult = 32 // times 100 ms: a busy machine may be slow to answer
	conf.MemberlistConfig.TCPTimeout = 10 * time.Second
	conf.MemberlistConfig.SuspicionMult = 10
	conf.MemberlistConfig.BindAddr = "127.0.0.1"
	conf.MemberlistConfig.BindPort = 0
	conf.MemberlistConfig.LogOutput = a
	if key != nil {
		ring, err := memberlist.NewKeyring(nil, key)
		if err != nil {
			t.Fatal(err)
		}
		conf.MemberlistConfig.Keyring = ring
	}
	s, err := serf.Create(conf)
	if err != nil {
		t.Fatal(err)
	}
	a.Serf = s
	<-a.events // its own join, which whoever subscribes later has nothing to do with
	var fanning sync.WaitGroup
	fanning.Go(func() {
		for {
			select {
			case e := <-a.events:
				a.fan.emit(e)
			case <-s.ShutdownCh():
				return
			}
		}
	})
	t.Cleanup(func() {
		s.Shutdown()
		fanning.Wait()
	})
	return a
}

// Write takes serf's log.
func (a *serfAgent) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		a.fan.log(string(bytes.TrimRight(line, "\n")))
	}
	return len(p), nil
}

func (a *serfAgent) PublishReport(_ context.Context, name string, payload []byte, coalesce bool) (Published, error) {
	return Published{}, a.UserEvent(name, payload, coalesce)
}

func (a *serfAgent) ForceLeave(node string, prune bool) error {
	if prune {
		return a.RemoveFailedNodePrune(node)
	}
	return a.RemoveFailedNode(node)
}

func (a *serfAgent) Join(addrs []string, replay bool) (int, error) {
	return a.Serf.Join(addrs, !replay)
}

func (a *serfAgent) Shutdown() {}

func (a *serfAgent) UpdateTags(set map[string]string, remove []string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.tags, func(k, _ string) bool { return slices.Contains(remove, k) })
	maps.Copy(a.tags, set)
	return a.SetTags(maps.Clone(a.tags))
}

func (a *serfAgent) InstallKey(k string) (*serf.KeyResponse, error) {
	return a.KeyManager().InstallKey(k)
}
func (a *serfAgent) UseKey(k string) (*serf.KeyResponse, error) { return a.KeyManager().UseKey(k) }
func (a *serfAgent) RemoveKey(k string) (*serf.KeyResponse, error) {
	return a.KeyManager().RemoveKey(k)
}
func (a *serfAgent) ListKeys() (*serf.KeyResponse, error) { return a.KeyManager().ListKeys() }

func (a *serfAgent) Stats() map[string]map[string]string {
	return map[string]map[string]string{"agent": {"name": a.name}, "serf": a.Serf.Stats()}
}

func (a *serfAgent) Coordinate(node string) (*coordinate.Coordinate, bool) {
	return a.GetCachedCoordinate(node)
}

func (a *serfAgent) SubscribeEvents(fn func(serf.Event)) func() { return a.fan.SubscribeEvents(fn) }
func (a *serfAgent) SubscribeLogs(l slog.Level, fn func(string)) func() {
	return a.fan.SubscribeLogs(l, fn)
}
