// Package broadcast simulates the broadcast layer alone (package plumtree), with up to
// 10,000 nodes in one process. The simulation is one loop over what is due, with its own
// clock and its own source of chance. So a run with the same seed gives the same figures
// on every machine, and a node's computing takes no time.
//
// Links are streams with delay and loss: a lost segment holds up those behind it. Nodes
// join, leave, stop, get stuck and lie. Gossip, repair, journals and gateways are left out.
// An event that this layer alone does not bring counts as missing, although repair would
// bring it later.
package broadcast

import (
	"fmt"
	"slices"
	"time"
)

// Config says what is simulated.
type Config struct {
	Name    string
	Seed    uint64
	Nodes   int
	Network Network
	Size    int // bytes of an event's payload, from 8 on

	Warm       int           // events before the first that is measured
	Events     int           // that are measured
	Every      time.Duration // between them
	Publishers int           // that take turns; 0 counts as 1
	Settle     time.Duration // after the last event
	Stock      int           // members beside the nodes that are no agents

	Stop     float64       // share of the nodes that stop halfway through the events
	Stuck    bool          // the node that sends most gets stuck halfway, and its links stay
	Silent   float64       // share of the nodes that announce events halfway on, and send none
	Liars    float64       // share of the nodes that announce what does not exist, and pass nothing on
	Churn    time.Duration // a node joins and another stops so often; 0: never
	Noticed  time.Duration // a stopped node's links break up to so much later, 1 s at least
	Informed time.Duration // the others hear of a change within this time
}

// Result is what a simulation has found. Times are in milliseconds.
type Result struct {
	Name  string `json:"name"`
	Nodes int    `json:"nodes"`
	Seed  uint64 `json:"seed"`
	Size  int    `json:"size"` // of an event's payload

	First   float64   `json:"first_ms"` // the first event of a publisher, to the last node
	Last    []float64 `json:"last_ms"`  // to the last node, by event
	After   float64   `json:"after_ms"` // the first event after nodes stopped or got stuck
	Missing int       `json:"missing"`  // deliveries that did not happen, at nodes that lived all the time
	Twice   int       `json:"twice"`    // deliveries beyond the first
	Late    int       `json:"late"`     // deliveries out of their order

	Links            int     `json:"links"`             // of a node, at most
	Refused          int     `json:"refused"`           // links beyond a node's limit
	PublisherPackets float64 `json:"publisher_packets"` // for an event, at most
	PublisherBytes   float64 `json:"publisher_bytes"`   // for an event, at most
	Packets          float64 `json:"packets"`           // of a node, for an event
	Mean             float64 `json:"bytes_mean"`        // bytes that a node sends for an event, of its size
	Most             float64 `json:"bytes_most"`        // the same, of the node and the event with the most; of a burst, of the node
	FirstMean        float64 `json:"bytes_first_mean"`  // Mean, for the first event of a publisher
	Crossings        float64 `json:"crossings"`         // copies of an event that come to a region
	Pulls            float64 `json:"pulls"`             // for an event and node

	StockLast    []float64 `json:"stock_last_ms,omitempty"` // to the last stock member, by event, sorted
	StockMissing int       `json:"stock_missing"`           // deliveries to them that did not happen, since both packets were lost
	StockMost    int       `json:"stock_most"`              // that a node serves, at most
	Gossip       float64   `json:"gossip"`                  // share of the events whose gossip a node has let go

	Received uint64 `json:"received"` // messages, for the cost of one
}

// Percentile is the value that p % of the events do not exceed.
func (r *Result) Percentile(p int) float64 {
	if len(r.Last) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(r.Last))
	return s[min(len(s)-1, len(s)*p/100)]
}

// Run simulates a cluster.
func Run(cfg Config) (r Result, err error) {
	if cfg.Nodes < 2 || cfg.Size < 8 || cfg.Events < 1 || cfg.Warm < 1 {
		return r, fmt.Errorf("%d nodes, %d bytes, %d and %d events: want 2, 8, 1 and 1 at least", cfg.Nodes, cfg.Size, cfg.Warm, cfg.Events)
	}
	if (cfg.Stop > 0 || cfg.Churn > 0) && cfg.Noticed < time.Second {
		return r, fmt.Errorf("links that break %v after a node has stopped: want %v at least", cfg.Noticed, time.Second)
	}
	c, err := newCluster(cfg)
	if err != nil {
		return r, err
	}
	r.Name, r.Nodes, r.Seed, r.Size = cfg.Name, cfg.Nodes, cfg.Seed, cfg.Size
	c.lie()
	if cfg.Churn > 0 {
		c.after(cfg.Churn, c.churn)
	}
	return r, c.measure(&r)
}
