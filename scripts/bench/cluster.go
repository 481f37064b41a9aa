//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"agentctl/rpcclient"
)

const (
	// startLimit is how long thirty agents on a busy machine may take to start,
	// and again to find each other.
	startLimit = time.Minute
	// fullyLinked is up to how many agents each sends to all others itself.
	fullyLinked = 64
	// warmEvents are published before anything is measured: agents of ours get
	// to know each other then.
	warmEvents = 3
	warmPause  = time.Second
	warmLimit  = time.Minute
	// streamBuffer is more than any burst has.
	streamBuffer = 1 << 16
)

// member is an agent of a cluster.
type member struct {
	*process
	kind   kind
	ip     string
	client *rpcclient.Client
}

// The ports are serf's own, and that of agentctl's operations endpoint.
func (m *member) gossip() string { return m.ip + ":7946" }
func (m *member) rpc() string    { return m.ip + ":7373" }
func (m *member) http() string   { return m.ip + ":7374" }

// cluster is agents that have joined each other. The first one is published to.
type cluster struct {
	members []*member
	rec     *recorder
	gateway *gateway
	publish *rpcclient.Publisher
	dir     string
	cancel  context.CancelFunc // of the streams
}

// start starts agents, joins them, watches what comes to each, and warms them.
// The cluster has to be closed.
func (b *bench) start(ctx context.Context, profile string, kinds ...kind) (*cluster, error) {
	return b.startWith(ctx, profile, nil, kinds...)
}

// startWith is start with further arguments for each agent.
func (b *bench) startWith(ctx context.Context, profile string, more []string, kinds ...kind) (_ *cluster, err error) {
	b.started++
	c := &cluster{rec: newRecorder(len(kinds))}
	streams, cancel := context.WithCancel(ctx)
	c.cancel = cancel
	defer func() {
		if err != nil {
			b.keep = b.keep || ctx.Err() == nil // the logs say why
			c.close()
		}
	}()
	c.dir = filepath.Join(b.dir, fmt.Sprintf("cluster%d", b.started))
	if err := os.Mkdir(c.dir, 0o755); err != nil {
		return nil, err
	}
	if c.gateway, err = newGateway(c.rec); err != nil {
		return nil, err
	}
	for i, k := range kinds {
		ip := net.IPv4(127, b.network, b.started, byte(i+1)).String()
		name := fmt.Sprintf("node%d", i+1)
		program, args, err := b.invocation(k, c.dir, name, ip, profile, c.gateway.url(i))
		if err != nil {
			return nil, err
		}
		p, err := startProcess(filepath.Join(c.dir, name+".log"), program, append(args, more...)...)
		if err != nil {
			return nil, err
		}
		c.members = append(c.members, &member{process: p, kind: k, ip: ip})
	}
	if err := c.join(ctx); err != nil {
		return nil, err
	}
	for i, m := range c.members {
		if m.kind == noScript {
			if err := c.watch(streams, i); err != nil {
				return nil, err
			}
		}
	}
	if err := c.grow(ctx); err != nil {
		return nil, err
	}
	c.publish = rpcclient.NewPublisher(rpcclient.PublisherConfig{Config: rpcclient.Config{Addr: c.members[0].rpc()}})
	return c, c.warm(ctx)
}

// join joins all to the first one, and waits until each knows all.
func (c *cluster) join(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for _, m := range c.members {
		if m.client, err = m.dial(ctx); err != nil {
			return err
		}
	}
	for _, m := range c.members[1:] {
		if _, err := m.client.Join(ctx, []string{c.members[0].gossip()}, false); err != nil {
			return err
		}
	}
	for _, m := range c.members {
		for {
			known, err := m.client.Members(ctx)
			if err != nil {
				return err
			}
			if len(known) == len(c.members) {
				break
			}
			if err := sleep(ctx, 100*time.Millisecond); err != nil {
				return fmt.Errorf("an agent knows %d of %d members after %v: %w", len(known), len(c.members), startLimit, err)
			}
		}
	}
	return nil
}

// grow waits until the agents of a large cluster have their trees. One of a former version
// has none, and is not waited for.
func (c *cluster) grow(ctx context.Context) error {
	if len(c.members) <= fullyLinked {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*startLimit)
	defer cancel()
	for _, m := range c.members {
		if m.kind != ours {
			return nil
		}
		for {
			figures, err := m.figures(ctx)
			if err != nil {
				return err
			}
			if !strings.Contains(figures, "agentctl_tree_neighbours") {
				return nil
			}
			if !strings.Contains(figures, "agentctl_tree_neighbours 0\n") && strings.Contains(figures, "agentctl_tree_served_members 0\n") {
				break
			}
			if err := sleep(ctx, 100*time.Millisecond); err != nil {
				return fmt.Errorf("an agent has no neighbours after %v: %w", 2*startLimit, err)
			}
		}
	}
	return nil
}

// figures are an agent's metrics, as its operations endpoint shows them.
func (m *member) figures(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.http()+"/metrics", nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// dial dials an agent until it answers.
func (m *member) dial(ctx context.Context) (*rpcclient.Client, error) {
	for {
		client, err := rpcclient.Dial(ctx, rpcclient.Config{Addr: m.rpc(), StreamBuffer: streamBuffer})
		if err == nil {
			return client, nil
		}
		if m.ended() {
			return nil, fmt.Errorf("an agent did not start; it printed:\n%s", m.printed())
		}
		// Often, since startup measures with this.
		if e := sleep(ctx, 500*time.Microsecond); e != nil {
			return nil, errors.Join(e, err)
		}
	}
}

// warm publishes some events, and waits for each of them.
func (c *cluster) warm(ctx context.Context) error {
	round := c.rec.begin(warmEvents)
	for i := range warmEvents {
		if err := c.publish.Publish(ctx, "kong", payload(round, i), false); err != nil {
			return err
		}
		if _, all := c.rec.await(ctx, i, warmLimit); !all {
			return fmt.Errorf("an event is not at all %d members after %v", len(c.members), warmLimit)
		}
	}
	return sleep(ctx, warmPause)
}

// logged counts how often the agents have printed a text.
func (c *cluster) logged(text string) (n int) {
	for _, m := range c.members {
		n += strings.Count(m.printed(), text)
	}
	return n
}

// usage adds up what the agents have used.
func (c *cluster) usage() (sum usage, err error) {
	for _, m := range c.members {
		u, err := m.process.usage()
		if err != nil {
			return usage{}, err
		}
		sum.cpu += u.cpu
		sum.rss, sum.peak, sum.own = max(sum.rss, u.rss), max(sum.peak, u.peak), max(sum.own, u.own)
	}
	return sum, nil
}

// close ends all of it.
func (c *cluster) close() {
	c.cancel()
	if c.publish != nil {
		c.publish.Close()
	}
	for _, m := range c.members {
		if m.client != nil {
			m.client.Close()
		}
		m.kill()
	}
	if c.gateway != nil {
		c.gateway.close()
	}
}
