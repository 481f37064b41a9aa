package fleet

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/api"
	"agentctl/agent/link"
	"agentctl/agent/memnet"
)

// Over links: a peer that has no handler for the question is of a former version, and one
// that does not speak the protocol is stock.
func TestMembersOverLinks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(4)
		network := memnet.New(memnet.Config{MinDelay: time.Millisecond, MaxDelay: time.Millisecond})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		var ports []interface{ Shutdown() error }
		defer func() {
			cancel()
			running.Wait()
			for _, p := range ports {
				p.Shutdown()
			}
		}()
		at := func(i int) string { return fmt.Sprintf("%s:7946", c.members[i].Addr) }
		var asker *link.Links
		for i, n := range c.nodes[:3] {
			port := network.Add(at(i))
			handlers := map[link.Kind]link.Handler{link.KindStatus: n.Answer}
			if i == 2 {
				handlers = nil
			}
			links, err := link.New(link.Config{Name: c.members[i].Name, Transport: port, Deliver: func(link.Peer, [][]byte) link.Ack { return link.Ack{} }, Handlers: handlers})
			if err != nil {
				t.Fatal(err)
			}
			ports = append(ports, links.Transport())
			running.Go(func() { links.Run(ctx) })
			running.Go(func() { // who is no peer is for memberlist, which reads on
				for {
					select {
					case conn := <-links.Transport().StreamCh():
						conn.Close()
					case <-ctx.Done():
						return
					}
				}
			})
			if i == 0 {
				asker = links
			}
		}
		stock := network.Add(at(3))
		ports = append(ports, stock)
		running.Go(func() { // stock serf closes a stream that it does not understand
			for {
				select {
				case conn := <-stock.StreamCh():
					conn.Close()
				case <-ctx.Done():
					return
				}
			}
		})
		c.nodes[0].cfg.Ask = func(ctx context.Context, m serf.Member, req []byte) ([]byte, error) {
			return asker.Request(ctx, link.Peer{Name: m.Name, Addr: fmt.Sprintf("%s:%d", m.Addr, m.Port)}, link.KindStatus, req)
		}
		synctest.Wait()
		r := c.nodes[0].Report(t.Context())
		for i, want := range []api.AnswerState{api.AnswerGiven, api.AnswerGiven, api.AnswerFormer, api.AnswerStock} {
			if m := row(t, &r, c.members[i].Name); m.Answer != want || len(m.Problems) > 0 {
				t.Errorf("%+v, want %s", m, want)
			}
		}
	})
}
