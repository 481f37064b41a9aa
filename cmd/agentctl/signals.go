package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"agentctl/agent"
	"agentctl/agent/config"
	"agentctl/agent/logs"
)

// lastWords is how long the log may take at an end at once, and lastLines if the
// program has to be gone: what does not block takes a few milliseconds.
const (
	lastWords = 200 * time.Millisecond
	lastLines = 5 * time.Millisecond
)

// closeLog has an agent's log write its last lines before the program exits.
func closeLog(conf *config.Config, hub *logs.Hub) {
	if conf.EndsAtOnce() {
		closeWithin(hub, lastLines)
	} else {
		hub.Close()
	}
}

// closeWithin closes a log, and waits for that no longer than most.
func closeWithin(hub *logs.Hub, most time.Duration) {
	written := make(chan struct{})
	go func() { hub.Close(); close(written) }()
	select {
	case <-written:
	case <-time.After(most):
	}
}

// nextAction is what follows a signal.
type nextAction int

const (
	nextReload nextAction = iota
	nextLeave             // end by a leave
	nextEnd               // end without a leave
	nextRepeat            // nothing: the signal is part of the one before
	nextExit              // exit at once
)

func (n nextAction) String() string {
	return [...]string{
		nextReload: "reloading the configuration",
		nextLeave:  "leaving the cluster and delivering what waits",
		nextEnd:    "ending without leaving the cluster",
		nextRepeat: "it came twice, which counts as once",
		nextExit:   "it is the second, ending at once",
	}[n]
}

// sameSignal is how soon a second SIGTERM counts as the first. GNU timeout sends two at
// a time, one to its child and one to its process group.
const sameSignal = 500 * time.Millisecond

// signalMemory decides what follows a signal.
type signalMemory struct {
	leaveOnTerm, leaveOnInt bool

	first os.Signal // to end
	at    time.Time
}

func (m *signalMemory) next(sig os.Signal, now time.Time) nextAction {
	switch {
	case sig == syscall.SIGHUP:
		return nextReload
	case m.first == syscall.SIGTERM && sig == m.first && now.Sub(m.at) < sameSignal:
		return nextRepeat
	case m.first != nil:
		return nextExit
	}
	m.first, m.at = sig, now
	if sig == os.Interrupt && m.leaveOnInt || sig == syscall.SIGTERM && m.leaveOnTerm {
		return nextLeave
	}
	return nextEnd
}

// signalActions are what signals do, beside ending an agent.
type signalActions struct {
	tell   func(sig os.Signal, next nextAction) // called for each, with what follows
	reload func()                               // called for SIGHUP
	last   func()                               // called before the program exits at once: has the log written
}

// onSignals returns a context that ends at the first signal to end, with
// [agent.ErrNoLeave] as its cause where the agent is not to leave the cluster.
// At the second such signal the program exits.
func onSignals(conf *config.Config, do signalActions) (_ context.Context, stop func()) {
	// A log reader that goes away is no reason to end.
	signal.Ignore(syscall.SIGPIPE)
	ctx, cancel := context.WithCancelCause(context.Background())
	stopped := make(chan struct{})
	var reloading sync.Mutex
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	memory := signalMemory{leaveOnTerm: conf.LeaveOnTerm, leaveOnInt: !conf.SkipLeaveOnInt}
	go func() {
		for {
			var sig os.Signal
			select {
			case sig = <-signals:
			case <-stopped:
				return
			}
			next := memory.next(sig, time.Now())
			do.tell(sig, next)
			switch next {
			case nextReload:
				go func() { // another signal may come meanwhile
					reloading.Lock()
					defer reloading.Unlock()
					do.reload()
				}()
			case nextLeave:
				cancel(fmt.Errorf("signal %v", sig))
			case nextEnd:
				cancel(agent.ErrNoLeave)
			case nextExit:
				do.last()
				os.Exit(1)
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(stopped)
		cancel(nil)
	}
}
