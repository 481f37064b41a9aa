package broadcast

import "time"

// measure publishes the events.
func (c *cluster) measure(r *Result) error {
	publishers := min(max(c.cfg.Publishers, 1), len(c.nodes))
	for i := range c.cfg.Warm {
		before := c.sent()
		if err := c.event(c.nodes[i%publishers]); err != nil {
			return err
		}
		if i == 0 {
			r.FirstMean = c.units(total(c.since(before))) / float64(c.cfg.Nodes)
		}
	}
	c.run(c.cfg.Settle)

	pulls, crossed, began := c.pulls(), c.crossed, c.sent()
	before, events := began, 0
	for i := range c.cfg.Events {
		from := c.nodes[(c.cfg.Warm+i)%publishers]
		if i == c.cfg.Events/2 {
			c.breakDown(from)
		}
		if err := c.event(from); err != nil {
			return err
		}
		// The messages of a burst's events cannot be told apart.
		if events++; c.cfg.Every < apart && i < c.cfg.Events-1 {
			continue
		}
		if c.cfg.Every < apart {
			c.run(c.cfg.Settle)
		}
		sent := c.since(before)
		for j, t := range sent {
			r.Most = max(r.Most, c.units(t.bytes)/float64(events))
			if c.nodes[j] == from {
				r.PublisherPackets = max(r.PublisherPackets, float64(t.packets)/float64(events))
				r.PublisherBytes = max(r.PublisherBytes, float64(t.bytes)/float64(events))
			}
		}
		before, events = c.sent(), 0
	}
	c.run(c.cfg.Settle)

	all := float64(c.cfg.Events) * float64(c.cfg.Nodes)
	sent := c.since(began)
	r.Mean = c.units(total(sent)) / all
	for _, t := range sent {
		r.Packets += float64(t.packets) / all
	}
	r.Pulls = float64(c.pulls()-pulls) / all
	if regions := len(c.cfg.Network.Between); regions > 1 {
		r.Crossings = float64(c.crossed-crossed) / float64(c.cfg.Events) / float64(regions-1)
	}
	c.count(r)
	return nil
}

// apart is how far apart events are whose messages are told apart: all that an event
// causes at once is over by then.
const apart = 100 * time.Millisecond

// event publishes an event, and lets the time to the next one pass.
func (c *cluster) event(from *node) error {
	if err := c.publish(from); err != nil {
		return err
	}
	c.run(c.cfg.Every)
	return nil
}

// sent is what each node has sent so far.
func (c *cluster) sent() []traffic {
	all := make([]traffic, len(c.nodes))
	for i, n := range c.nodes {
		all[i] = n.sent
	}
	return all
}

// since is what each node has sent since then.
func (c *cluster) since(before []traffic) []traffic {
	all := c.sent()
	for i, t := range before {
		all[i].packets -= t.packets
		all[i].bytes -= t.bytes
	}
	return all
}

func total(all []traffic) (bytes int) {
	for _, t := range all {
		bytes += t.bytes
	}
	return bytes
}

// units are bytes, in the size of an event.
func (c *cluster) units(bytes int) float64 { return float64(bytes) / float64(c.cfg.Size) }

// count counts how the events came.
func (c *cluster) count(r *Result) {
	for _, n := range c.nodes {
		r.Links = max(r.Links, n.most)
	}
	c.countStock(r)
	r.Late, r.Received, r.Refused = c.late, c.received, c.refused
	for i, p := range c.published {
		for _, n := range c.nodes {
			if n.alive && !n.stuck && !n.liar && n.joined == 0 && p.got[n.index] == 0 {
				r.Missing++
			}
		}
		for _, times := range p.got {
			r.Twice += max(int(times)-1, 0)
		}
		switch {
		case i == 0:
			r.First = millis(p.last)
		case i >= c.cfg.Warm:
			if p.gossip {
				r.Gossip += 1 / float64(c.cfg.Events)
			}
			r.Last = append(r.Last, millis(p.last))
		}
	}
	r.After = r.Last[c.cfg.Events/2]
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (c *cluster) pulls() (n uint64) {
	for _, o := range c.nodes {
		n += o.tree.Stats().Pulls
	}
	return n
}
