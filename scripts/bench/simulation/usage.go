//go:build linux

package simulation

import (
	"slices"
	"syscall"
	"time"
)

// usage is what the nodes have sent, and one of them by itself.
type usage struct{ all, own Traffic }

// during is what is used while do runs; own is of the given node.
func (c *cluster) during(own *node, do func() error) (usage, error) {
	before := c.usage(own)
	err := do()
	return c.usage(own).minus(before), err
}

func (c *cluster) usage(own *node) (u usage) {
	u.own = trafficOf(own)
	for _, n := range c.nodes {
		t := trafficOf(n)
		u.all.Packets += t.Packets
		u.all.Bytes += t.Bytes
	}
	return u
}

func (u usage) minus(o usage) usage {
	return usage{u.all.minus(o.all), u.own.minus(o.own)}
}

func (u usage) per(n float64) usage {
	return usage{u.all.per(n), u.own.per(n)}
}

func trafficOf(n *node) Traffic {
	s := n.transport.Sent()
	return Traffic{Packets: float64(s.Packets + s.Segments), Bytes: float64(s.PacketBytes + s.SegmentBytes)}
}

func (t Traffic) minus(o Traffic) Traffic { return Traffic{t.Packets - o.Packets, t.Bytes - o.Bytes} }
func (t Traffic) per(n float64) Traffic   { return Traffic{t.Packets / n, t.Bytes / n} }

// peakRSS is the most memory that the process has had, in MiB.
func peakRSS() float64 {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r) // fails for a wrong address only
	return float64(r.Maxrss) / 1024
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// median is the middle value, or the higher of the two in the middle.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(values))[len(values)/2]
}
