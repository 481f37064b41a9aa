package broadcast

import "time"

// lan is a data centre in which a segment of a hundred is lost.
var lan = Network{MinDelay: 200 * time.Microsecond, MaxDelay: time.Millisecond, Loss: 0.01, Resend: 200 * time.Millisecond}

// regions are five of them, with the way between them.
var regions = Network{MinDelay: lan.MinDelay, MaxDelay: lan.MaxDelay, Loss: lan.Loss, Resend: lan.Resend, Between: between(
	[]int{0, 40, 75, 110, 150},
	[]int{40, 0, 60, 90, 120},
	[]int{75, 60, 0, 70, 95},
	[]int{110, 90, 70, 0, 50},
	[]int{150, 120, 95, 50, 0},
)}

func between(millis ...[]int) (all [][]time.Duration) {
	for _, row := range millis {
		var ways []time.Duration
		for _, ms := range row {
			ways = append(ways, time.Duration(ms)*time.Millisecond)
		}
		all = append(all, ways)
	}
	return all
}

// Lan is the name of the cases without failures, from 10 to 10,000 nodes.
const Lan = "lan"

// Cases are what is simulated, with up to so many nodes and so many events in each case;
// a burst has five times as many.
func Cases(seed uint64, nodes, events int) (cases []Config) {
	add := func(name string, n int, change func(*Config)) {
		c := Config{
			Name: name, Seed: seed, Nodes: min(n, nodes), Network: lan, Size: 300,
			Warm: 20, Events: events, Every: 300 * time.Millisecond, Settle: 3 * time.Second,
			Noticed: 5 * time.Second, Informed: 2 * time.Second,
		}
		if change != nil {
			change(&c)
		}
		cases = append(cases, c)
	}
	burst := func(c *Config) { c.Events, c.Every, c.Settle = 5*events, time.Millisecond, 15*time.Second }
	for _, n := range []int{10, 30, 100, 300, 1000, 3000, 10_000} {
		if n <= nodes {
			add(Lan, n, func(c *Config) {
				if n > 1000 {
					c.Warm, c.Events = 5, max(1, events/8) // each takes a second
				}
			})
		}
	}
	add("five regions", 1000, func(c *Config) { c.Network, c.Every = regions, 600*time.Millisecond })
	add("every event from another node", 1000, func(c *Config) { c.Publishers = c.Warm + c.Events })
	add("a burst", 1000, burst)
	add("a burst, a tenth of the nodes stops", 1000, func(c *Config) { burst(c); c.Stop = 0.1 })
	add("a burst, five regions, a tenth stops", 1000, func(c *Config) { burst(c); c.Stop, c.Network = 0.1, regions })
	add("a node is stuck", 1000, func(c *Config) { c.Stuck = true })
	add("a tenth of the nodes announces events and sends none", 1000, func(c *Config) { c.Silent = 0.1 })
	add("a tenth of the nodes lies", 1000, func(c *Config) { c.Liars, c.Events, c.Every = 0.1, max(1, events/4), 100*time.Millisecond })
	add("100 stock members beside", 1000, func(c *Config) { c.Stock = min(nodes, 1000) / 10 })
	add("nodes join and stop", 1000, func(c *Config) { c.Churn, c.Settle = time.Second, 10*time.Second })
	return cases
}
