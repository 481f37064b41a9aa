//go:build linux

package simulation

import (
	"runtime"
	"runtime/debug"
	"slices"
	"syscall"
	"time"
)

// usage is what the nodes have sent, one of them by itself, and the CPU time of this
// process.
type usage struct {
	all, own Traffic
	cpu      float64 // seconds
}

// during is what is used while do runs; own is of the given node.
func (c *cluster) during(own *node, do func()) usage {
	before := c.usage(own)
	do()
	return c.usage(own).minus(before)
}

func (c *cluster) usage(own *node) (u usage) {
	u.own, u.cpu = trafficOf(own), cpuTime().Seconds()
	for _, n := range c.nodes {
		t := trafficOf(n)
		u.all.Packets += t.Packets
		u.all.Bytes += t.Bytes
	}
	return u
}

func (u usage) minus(o usage) usage {
	return usage{u.all.minus(o.all), u.own.minus(o.own), u.cpu - o.cpu}
}

func (u usage) per(n float64) usage {
	return usage{u.all.per(n), u.own.per(n), u.cpu / n}
}

func trafficOf(n *node) Traffic {
	s := n.transport.Sent()
	return Traffic{Packets: float64(s.Packets + s.Segments), Bytes: float64(s.PacketBytes + s.SegmentBytes)}
}

func (t Traffic) minus(o Traffic) Traffic { return Traffic{t.Packets - o.Packets, t.Bytes - o.Bytes} }
func (t Traffic) per(n float64) Traffic   { return Traffic{t.Packets / n, t.Bytes / n} }

// cpuTime is the CPU time of this process so far. It is real in a bubble, too.
func cpuTime() time.Duration {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r) // fails for a wrong address only
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// cpuOf is the CPU time that this process takes while do runs. Garbage is collected before,
// and after only if memory is at its limit: one collection takes as much as many events.
func cpuOf(do func()) time.Duration {
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	before := cpuTime()
	do()
	return cpuTime() - before
}

// memory is what this process uses in MiB, without what nobody needs any more: its
// objects and its goroutines' stacks.
func memory() float64 {
	runtime.GC()
	runtime.GC() // stacks shrink in the next one, and pools are empty after two
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc+m.StackInuse) / (1 << 20)
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func micros(seconds float64) float64 { return seconds * 1e6 }

// median is the middle value, or the higher of the two in the middle.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(values))[len(values)/2]
}
