//go:build linux

// Package simulation runs clusters of up to [MaxNodes] agents in one process, over
// a network in memory with delay and loss. It measures how an event's way grows
// with the cluster: how long it takes to the last node, and what it costs each.
//
// The agents are whole: gossip, links, direct send, repair and journal are those of
// the program. Only the network ([memnet]) is not theirs, and the clock in a bubble
// of testing/synctest. In a bubble a node's computing takes no time. Latencies are
// then those of the network and of the protocols' own pauses, on every machine.
//
// The ends are left out: no publisher comes by RPC, and no gateway gets a POST. So is
// the storm in which a cluster starts: see join.
//
// A cluster of stock serf can be simulated in the same way, to compare with.
package simulation

import (
	"fmt"
	"math/rand/v2"
	"time"

	"agentctl/agent/memnet"
)

const (
	// MaxNodes is the most that Run takes: memory grows with their square.
	MaxNodes = 2000

	// lookEvery is how often it is looked whether all nodes know all.
	lookEvery = time.Second
	// warmTime is how long a cluster has to itself before it is looked whether it has
	// come to rest: serf's queues are empty by then.
	warmTime = 2 * time.Minute
	// settleLimit is how long the nodes may take to know each other, and again
	// until they have told each other all.
	settleLimit = 15 * time.Minute
	// restTime is for how long a cluster is measured at rest, before the events of
	// each way.
	restTime = 30 * time.Second
	// An event is waited for eventLimit, and its gossip for eventPause more; then
	// comes the next, after up to eventJitter: at any moment of gossip's rounds.
	eventLimit  = time.Minute
	eventPause  = 4 * time.Second
	eventJitter = time.Second
	// warmEvents are published before the first that is measured; by then the
	// publisher knows who has links.
	warmEvents = 5
	// trainEvents are published for their CPU time, one each trainPause: what one event
	// takes alone is lost in what the cluster takes at rest.
	trainEvents = 40
	trainPause  = 250 * time.Millisecond
)

// Config says what is simulated.
type Config struct {
	Nodes   int
	Profile string // of gossip: lan or wan
	Stock   bool   // the nodes run stock serf
	Events  int    // of each way
	Network memnet.Config
	// Measured gets the result before the programs are told to end, which takes as much CPU
	// as all before. So a process may end there. It may be nil.
	Measured func(Result)
}

// Result is what a simulation has found. Counts of packets are those of UDP
// packets and of links' TCP segments, without acknowledgements; bytes are without
// headers. Serf's full syncs, over TCP and each minute or less often, are not in
// them: they would hide what a few events cost.
//
// CPU is that of the whole process, the network in memory included. That of a way is
// without collections of garbage, as far as memory allows.
type Result struct {
	Nodes   int     `json:"nodes"`
	Profile string  `json:"profile"`
	Stock   bool    `json:"stock,omitempty"`
	Rest    Traffic `json:"at_rest"`         // a second and node
	RestCPU float64 `json:"at_rest_cpu_us"`  // microseconds, likewise
	Memory  float64 `json:"node_memory_mib"` // of a node at rest
	Ways    []Way   `json:"ways"`
}

// Traffic is what was sent.
type Traffic struct {
	Packets float64 `json:"packets"`
	Bytes   float64 `json:"bytes"`
}

// Way is how the events of one publisher travelled. What the cluster uses at
// rest is taken off.
type Way struct {
	Name      string    `json:"name"`
	Links     int       `json:"links"`     // that the publisher keeps open
	Half      float64   `json:"half_ms"`   // to half of the nodes, median of the events
	Last      []float64 `json:"last_ms"`   // to the last node, by event
	Missing   int       `json:"missing"`   // events that were not everywhere within a minute
	Each      Traffic   `json:"each"`      // for an event and node
	CPU       float64   `json:"cpu_us"`    // likewise, in microseconds, at four events a second
	Publisher Traffic   `json:"publisher"` // for an event, of the publisher itself
}

// Run simulates a cluster. Progress is told what it is about.
func Run(cfg Config, progress func(format string, args ...any)) (res Result, err error) {
	if cfg.Nodes < 2 || cfg.Nodes > MaxNodes {
		return res, fmt.Errorf("%d nodes: want 2 to %d", cfg.Nodes, MaxNodes)
	}
	res.Nodes, res.Profile, res.Stock = cfg.Nodes, cfg.Profile, cfg.Stock
	what := "agentctl"
	if cfg.Stock {
		what = "stock serf"
	}
	began := time.Now()
	say := func(format string, args ...any) {
		progress("%4d nodes, %s, %s, %3.0f s of CPU, simulated %4.0f s: %s", cfg.Nodes, what, cfg.Profile, cpuTime().Seconds(), time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
	c, err := newCluster(cfg)
	if err != nil {
		return res, err
	}
	defer c.close()
	err = c.join()
	c.start()
	if err != nil {
		return res, err
	}
	if err := c.meet(); err != nil {
		return res, err
	}
	say("all know all")
	time.Sleep(warmTime)
	c.starting.Store(false)
	if err := c.grow(); err != nil {
		return res, err
	}
	rest, err := c.settle(say)
	if err != nil {
		return res, err
	}
	rest = rest.per(restTime.Seconds() * float64(cfg.Nodes))
	res.Rest, res.RestCPU = rest.all, micros(rest.cpu)
	res.Memory = memory() / float64(cfg.Nodes)
	say("at rest %.2f packets, %.0f bytes and %.0f µs of CPU a second and node, %.2f MiB a node", res.Rest.Packets, res.Rest.Bytes, res.RestCPU, res.Memory)
	way, err := c.measure(c.nodes[0])
	if err != nil {
		return res, err
	}
	way.Name = what
	res.Ways = append(res.Ways, way)
	say("%d events, half of the nodes after %.1f ms, the last after %.1f, %.1f packets and %.0f µs of CPU a node", cfg.Events, way.Half, median(way.Last), way.Each.Packets, way.CPU)
	if cfg.Measured != nil {
		cfg.Measured(res)
	}
	return res, nil
}

// measure publishes events at one node.
func (c *cluster) measure(from *node) (w Way, err error) {
	for range warmEvents {
		if _, err := c.event(from); err != nil {
			return w, err
		}
	}
	rest := c.during(from, func() { time.Sleep(restTime) })
	var half []float64
	began := time.Now()
	used := c.during(from, func() {
		for range c.cfg.Events {
			var a arrivals
			if a, err = c.event(from); err != nil {
				return
			}
			half = append(half, millis(a.half))
			if a.missing > 0 {
				w.Missing++
				continue
			}
			w.Last = append(w.Last, millis(a.last))
		}
	})
	if err != nil {
		return w, err
	}
	used = used.minus(rest.per(restTime.Seconds() / time.Since(began).Seconds())).per(float64(c.cfg.Events))
	w.Half = median(half)
	w.Links = int(from.transport.Sent().Streams + from.transport.Sent().Accepted)
	w.Publisher = used.own
	w.Each = used.all.per(float64(c.cfg.Nodes))
	w.CPU, err = c.eventCPU(from)
	return w, err
}

// eventCPU is the CPU time of an event at a node, in microseconds.
func (c *cluster) eventCPU(from *node) (_ float64, err error) {
	rest := cpuOf(func() { time.Sleep(trainEvents*trainPause + eventPause) })
	used := cpuOf(func() {
		for range trainEvents {
			c.published++
			if err = from.publish(payload(c.published)); err != nil {
				return
			}
			time.Sleep(trainPause)
		}
		time.Sleep(eventPause)
	})
	return micros((used - rest).Seconds() / float64(trainEvents*c.cfg.Nodes)), err
}

// arrivals is how an event came to the nodes.
type arrivals struct {
	half, last time.Duration
	missing    int
}

// event publishes one event, waits until all have it, and until its gossip is
// over.
func (c *cluster) event(from *node) (a arrivals, err error) {
	time.Sleep(rand.N(eventJitter))
	c.rec.begin(len(c.nodes))
	began := time.Now()
	c.published++
	if err := from.publish(payload(c.published)); err != nil {
		return a, err
	}
	at := c.rec.await(eventLimit)
	time.Sleep(eventPause)
	a.missing = len(c.nodes) - len(at)
	if n := (len(c.nodes) + 1) / 2; len(at) >= n { // in the order of their arrival
		a.half = at[n-1].Sub(began)
	}
	if len(at) > 0 {
		a.last = at[len(at)-1].Sub(began)
	}
	return a, nil
}
