package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"agentctl/agent/api"
	"agentctl/handler/delivery"
	"agentctl/handler/text"
	"agentctl/rpcclient/wire"
)

// code is the HTTP status for a report.
func code(r *api.HealthReport) int {
	if r.OK() {
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}

// probeTime is how long a part may take to show that it works. It is far more
// than one takes on a busy machine, and less than probes usually wait.
const probeTime = 3 * time.Second

// healthz answers whether the process works.
func (a *Agent) healthz(r *http.Request) (int, any, error) {
	report := api.HealthReport{Status: "ok"}
	if report.Reasons = a.Hung(r.Context()); !report.OK() {
		report.Status = "failing"
	}
	return code(&report), &report, nil
}

// readyz answers whether the agent does its work. How the targets stand is told
// and, with ?targets=ok, counts too: a gateway that is down is no reason to
// restart or hold back the agent that waits for it.
func (a *Agent) readyz(r *http.Request) (int, any, error) {
	report := api.HealthReport{Status: "ready", Reasons: a.notReady(r.Context()), Targets: map[string]api.TargetState{}}
	switch want := r.URL.Query().Get("targets"); want {
	case "", "ok":
		for _, t := range a.Targets() {
			report.Targets[t.Target] = api.TargetState(t.State)
			if want != "" && t.State != delivery.StateOK {
				report.Reasons = append(report.Reasons, fmt.Sprintf("target %s is %s", t.Target, t.State))
			}
		}
	default:
		return 0, nil, apiErrorf(http.StatusBadRequest, "targets=%s: the only value is ok", text.Shorten(want, 40))
	}
	if !report.OK() {
		report.Status = "not ready"
	}
	return code(&report), &report, nil
}

// notReady says what keeps the agent from doing its work.
func (a *Agent) notReady(ctx context.Context) (reasons []string) {
	if !a.isJoined() {
		reasons = append(reasons, "no node could be joined yet")
	}
	if state := a.serf.State().String(); state != "alive" {
		reasons = append(reasons, "the node is "+state)
	}
	if err := a.pingRPC(ctx); err != nil {
		reasons = append(reasons, "RPC takes no clients: "+err.Error())
	}
	if disk, ok := a.diskStatus(); ok && disk.Degraded {
		reasons = append(reasons, "the journal's disk fails or lags, what comes is in memory only: "+disk.Error)
	}
	return reasons
}

// pingRPC does what an RPC client does first.
func (a *Agent) pingRPC(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	addr := a.rpcLn.Addr()
	conn, err := (&net.Dialer{}).DialContext(ctx, addr.Network(), addr.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline) // a fresh connection has no error to give
	err = wire.NewWriter(conn).Write(wire.RequestHeader{Command: wire.Handshake, Seq: 1}, wire.HandshakeRequest{Version: wire.Version})
	if err != nil {
		return err
	}
	var answer wire.ResponseHeader
	if err := wire.NewReader(conn, wire.DefaultLimits).Read(&answer); err != nil {
		return err
	}
	if answer.Error != "" {
		return errors.New(answer.Error)
	}
	return nil
}

// Hung names the parts of the agent that do not go on any more, and waits for
// them at most until ctx ends: none where all is well. Each is asked for
// something small that only a part which works can give; that a gateway, disk or
// member is slow does not count.
func (a *Agent) Hung(ctx context.Context) (reasons []string) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	asked := map[string]<-chan struct{}{}
	for reason, probe := range map[string]func(){
		"the intake does not take events from serf":           a.intake.ping,
		"the intake does not pass events on to the journal":   a.intake.pass,
		"serf does not say who is a member":                   func() { a.serf.Members() },
		"memberlist does not say how many members there are":  func() { a.serf.Memberlist().NumMembers() },
		"the journal does not say what it holds":              func() { a.journal.Head() },
		"the delivery of a target does not say how it stands": func() { a.Targets() },
	} {
		asked[reason] = a.probes.ask(reason, probe)
	}
	for reason, answered := range asked {
		select {
		case <-answered:
		case <-ctx.Done():
			select {
			case <-answered:
			default:
				reasons = append(reasons, reason)
			}
		}
	}
	slices.Sort(reasons)
	return reasons
}

// probes are the questions that are not answered yet: whoever asks meanwhile
// waits for the same answer, so that what hangs does not gather goroutines.
type probes struct {
	mu      sync.Mutex
	waiting map[string]chan struct{}
}

// ask begins a probe, unless it is under way. The channel is closed once it has
// returned.
func (p *probes) ask(name string, probe func()) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if answered := p.waiting[name]; answered != nil {
		return answered
	}
	if p.waiting == nil {
		p.waiting = map[string]chan struct{}{}
	}
	answered := make(chan struct{})
	p.waiting[name] = answered
	go func() {
		probe()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.waiting, name)
		close(answered)
	}()
	return answered
}

// ping returns once drain has taken it, or Run has returned.
func (in *Intake) ping() {
	select {
	case in.pings <- struct{}{}:
	case <-in.ended:
	}
}

// pass returns once dispatch has passed on all that came before, or Run has
// returned.
func (in *Intake) pass() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-in.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	in.Settle(ctx) // its error is the end
}
