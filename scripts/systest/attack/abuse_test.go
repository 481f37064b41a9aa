//go:build linux

package attack

import (
	"strings"
	"sync"
	"testing"
	"time"

	"agentctl/rpcclient/wire"
	"agentctl/scripts/testkit"
)

// abuses are what hostile or broken RPC clients do. Each is done to a stock
// agent and to ours. What becomes of ours is asserted: beside what each abuse
// says itself, that it lives, that a client which behaves misses no event, and
// that log and goroutines stay small. What becomes of stock serf is logged, and
// asserted only where nothing about it is left to chance.
var abuses = []struct {
	name  string
	key   string // the agent's RPC key
	files int    // its limit of file descriptors, 0 for none
	do    func(t *testing.T, v *victim)
}{
	{name: "streams are cut", do: cutStreams},
	{name: "a monitor does not read", do: stallMonitor},
	{name: "idle connections take all descriptors", files: 64, do: exhaustDescriptors},
	{name: "100 MB before auth", key: victimKey, do: floodBeforeAuth},
	{name: "a bad regular expression", do: breakPattern},
	{name: "an event before auth", key: victimKey, do: skipAuth},
	{name: "keys are guessed", key: victimKey, do: guessKeys},
	{name: "requests that never end", do: neverFinish},
	{name: "a byte at a time", do: dribble},
}

func TestAbuse(t *testing.T) {
	for _, a := range abuses {
		for name, isStock := range map[string]bool{"stock": true, "ours": false} {
			t.Run(a.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				v := newVictim(t, isStock, a.key, a.files)
				a.do(t, v)
				if isStock {
					t.Logf("afterwards: ended %v, memory %d to %d KiB, log grew by %d bytes; the client that behaves: %q",
						v.Ended(), v.rss0, v.rss(t), v.logSize()-v.log0, v.report())
					return
				}
				v.checkWell(t)
				t.Logf("afterwards: memory %d to %d KiB, log grew by %d bytes, %d events in order", v.rss0, v.rss(t), v.logSize()-v.log0, v.sent)
			})
		}
	}
}

// cutStreams has hundreds of clients open a stream of everything, read a
// little, and go, half of them with a reset, while events flow. Stock serf
// closes such a client's channel though it may be about to send on it: surely
// where the client goes while a script runs.
func cutStreams(t *testing.T, v *victim) {
	const waves, clients, events = 50, 8, 60
	wave := 0
	for ; wave < waves && !v.Ended(); wave++ {
		var open, cutting sync.WaitGroup
		cut := make(chan struct{})
		for i := range clients {
			open.Add(1)
			cutting.Go(func() {
				if err := cutStream(t, v, open.Done, cut, i%2 == 0); err != nil && !v.stock {
					t.Errorf("wave %d, client %d was not served: %v", wave, i, err)
				}
			})
		}
		open.Wait()
		err := v.publish(t, events)
		if err == nil {
			v.publisher.Event(t.Context(), "slow", nil, false) // an error shows at the next event
		}
		close(cut)
		v.publish(t, events)
		cutting.Wait()
	}
	if !v.stock {
		return
	}
	if testkit.PollFor(5*time.Second, v.Ended) && strings.Contains(v.Printed(), "send on closed channel") {
		t.Logf("stock serf died of a send on a closed channel in wave %d, after %d events", wave, v.sent)
	} else {
		t.Logf("stock serf outlived %d waves of clients and %d events", wave, v.sent)
	}
}

// cutStream is one of the clients. It calls open when its stream is, or cannot
// be, and goes when it has read something and cut is closed.
func cutStream(t *testing.T, v *victim, open func(), cut <-chan struct{}, reset bool) error {
	open = sync.OnceFunc(open)
	defer open()
	a, err := v.tryAttack(t)
	if err != nil {
		return err
	}
	defer a.Close()
	if err := a.greet(); err != nil {
		return err
	}
	if _, err := a.ask(wire.Stream, 2, wire.StreamRequest{Type: "*"}, nil); err != nil {
		return err
	}
	open()
	for range 2 * 3 { // headers and records
		if err := a.r.Read(nil); err != nil {
			return err
		}
	}
	<-cut
	if reset {
		a.SetLinger(0)
	}
	return nil
}

// stallMonitor opens a monitor of everything, and streams, and never reads. A
// line that stock serf drops makes it log a line, which it drops.
func stallMonitor(t *testing.T, v *victim) {
	a := v.attack(t)
	a.SetReadBuffer(4 << 10) // so that less of what is sent fits on the way
	if err := a.greet(); err != nil {
		t.Fatal(err)
	}
	if text, err := a.ask(wire.Monitor, 2, wire.MonitorRequest{LogLevel: "DEBUG"}, nil); text != "" || err != nil {
		t.Fatal(text, err)
	}
	for seq := range uint64(8) { // each gets all events, so that few of them fill the way
		if err := a.w.Write(wire.RequestHeader{Command: wire.Stream, Seq: 3 + seq}, wire.StreamRequest{Type: "*"}); err != nil {
			t.Fatal(err)
		}
	}
	const storm = 4 << 20
	for v.sent < 3000 && v.publish(t, 200) == nil && v.logSize()-v.log0 < storm {
	}
	if v.stock {
		stormy := testkit.PollFor(10*time.Second, func() bool { return v.logSize()-v.log0 > storm })
		t.Logf("stock serf logged %d bytes after %d events, a storm: %v, %d times %q", v.logSize()-v.log0, v.sent, stormy,
			strings.Count(v.Printed(), "Dropping logs"), "Dropping logs")
		return
	}
	testkit.WaitFor(t, "the client that does not read is disconnected", func() bool { return strings.Contains(v.Printed(), "reason=slow") })
	if grew := v.rss(t) - v.rss0; grew > 256<<10 {
		t.Errorf("memory grew by %d KiB", grew)
	}
}

// exhaustDescriptors opens more idle connections than the agent may have
// descriptors. Stock serf tries to accept the next one without a pause.
func exhaustDescriptors(t *testing.T, v *victim) {
	const connections = 100
	var idle []*attacker
	for range connections {
		idle = append(idle, v.attack(t)) // the kernel accepts what the agent does not
	}
	testkit.WaitFor(t, "the limit is reached", func() bool { return strings.Contains(v.Printed(), "too many open files") })
	const watch = 2 * time.Second
	start, cpu, log := time.Now(), v.cpu(t), v.logSize()
	testkit.PollFor(watch, func() bool { return v.Ended() })
	wall := time.Since(start)
	cpu, log = v.cpu(t)-cpu, v.logSize()-log
	t.Logf("at the limit for %v: %v of CPU, %d bytes of log", wall.Round(time.Millisecond), cpu, log)
	for _, a := range idle {
		a.Close()
	}
	if v.stock {
		return
	}
	if cpu > wall/4 {
		t.Errorf("%v of CPU in %v at the limit", cpu, wall)
	}
	if log > 4<<10 {
		t.Errorf("%d bytes were logged at the limit", log)
	}
	v.dial(t).Close() // it recovers
}
