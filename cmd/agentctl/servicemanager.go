package main

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"agentctl/agent"
)

// serviceManager tells the service manager that started this program, where
// there is one, how the agent stands: systemd's protocol of NOTIFY_SOCKET, for
// units with Type=notify. Without that variable its methods do nothing more.
type serviceManager struct {
	logger *slog.Logger

	mu    sync.Mutex // held during a reload
	ready bool

	states sync.Mutex // held while a state is told
	ends   bool       // the last state is told
}

// tell sends a message. That nobody listens is no reason to end.
func (m *serviceManager) tell(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		m.logger.Warn("the service manager cannot be told", "state", state, "error", err)
	}
}

// state tells a state, unless the agent is ending: it is not ready again after that, however
// late a join or a reload comes to its end.
func (m *serviceManager) state(state string) {
	m.states.Lock()
	defer m.states.Unlock()
	if !m.ends {
		m.tell(state)
	}
}

// follow says when the agent is ready: it has joined, or there is nobody that it
// was told to join; RPC is up since before. Then, where the unit has a watchdog,
// it gives signs of life, as long as the agent does. Stop ends that.
func (m *serviceManager) follow(a *agent.Agent) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var following sync.WaitGroup
	following.Go(func() {
		m.state("STATUS=joining the cluster")
		select {
		case <-a.Joined():
		case <-ctx.Done():
			return
		}
		m.running(a.GossipAddr())
		interval, err := daemon.SdWatchdogEnabled(false)
		if err != nil {
			m.logger.Warn("the watchdog's interval cannot be read, so it will end this program", "error", err)
		}
		if interval > 0 {
			m.feedWatchdog(ctx, interval, a.Hung)
		}
	})
	return func() {
		cancel()
		following.Wait()
	}
}

// running says that the agent is ready.
func (m *serviceManager) running(addr string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state(daemon.SdNotifyReady + "\nSTATUS=running as " + addr)
	m.ready = true
}

// feedWatchdog gives a sign of life each third of the interval, as long as hung
// names no part of the agent that does not go on.
func (m *serviceManager) feedWatchdog(ctx context.Context, interval time.Duration, hung func(context.Context) []string) {
	tick := time.NewTicker(interval / 3)
	defer tick.Stop()
	for {
		if reasons := hung(ctx); len(reasons) == 0 {
			m.tell(daemon.SdNotifyWatchdog)
		} else if ctx.Err() == nil {
			m.logger.Error("the agent hangs: the service manager's watchdog is about to end it",
				"reasons", strings.Join(reasons, "; "), "watchdog", interval)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// reloading returns reload with what the manager wants to hear around it.
func (m *serviceManager) reloading(reload func()) func() {
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.ready { // else it would be taken for ready when it has reloaded
			m.state(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
			defer m.state(daemon.SdNotifyReady)
		}
		reload()
	}
}

// stopping says that the agent is leaving and will end by itself.
func (m *serviceManager) stopping() {
	m.states.Lock()
	defer m.states.Unlock()
	m.tell(daemon.SdNotifyStopping + "\nSTATUS=leaving the cluster and delivering what waits")
	m.ends = true
}
