package ops

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
func (s *Server) healthz(r *http.Request) (int, any, error) {
	report := api.HealthReport{Status: "ok"}
	if report.Reasons = s.Hung(r.Context()); !report.OK() {
		report.Status = "failing"
	}
	return code(&report), &report, nil
}

// readyz answers whether the agent does its work. How the targets stand is told
// and, with ?targets=ok, counts too: a gateway that is down is no reason to
// restart or hold back the agent that waits for it. An agent of which a part hangs does
// not work, and is asked nothing more, since the answer may never come.
func (s *Server) readyz(r *http.Request) (int, any, error) {
	report := api.HealthReport{Status: "ready", Reasons: s.Hung(r.Context()), Targets: map[string]api.TargetState{}}
	query, err := parameters(r, "targets")
	if err != nil {
		return 0, nil, err
	}
	switch want := query["targets"]; want {
	case "", "ok":
		if !report.OK() {
			break
		}
		report.Reasons, report.Warnings = s.notReady(r.Context()), s.cfg.Warns()
		for _, t := range s.cfg.Targets() {
			state := t.Delivery.Status().State
			report.Targets[t.Name] = api.TargetState(state)
			if want != "" && state != delivery.StateOK {
				report.Reasons = append(report.Reasons, fmt.Sprintf("target %s is %s", t.Name, state))
			}
		}
	default:
		return 0, nil, errorf(http.StatusBadRequest, "targets=%s: the only value is ok", text.Shorten(want, 40))
	}
	if !report.OK() {
		report.Status = "not ready"
	}
	return code(&report), &report, nil
}

// notReady says what keeps the agent from doing its work.
func (s *Server) notReady(ctx context.Context) (reasons []string) {
	if !s.cfg.Joined() {
		reasons = append(reasons, notJoined(s.cfg.JoinFailures())...)
	}
	if state := s.cfg.State(); state != "alive" {
		reasons = append(reasons, "the node is "+state)
	}
	if err := pingRPC(ctx, s.cfg.Dial, s.cfg.RPCAddr); err != nil {
		reasons = append(reasons, "RPC takes no clients: "+err.Error())
	}
	if disk, ok := s.cfg.Disk(); ok && disk.Degraded {
		reasons = append(reasons, "the journal's disk fails or lags, what comes is in memory only: "+disk.Error)
	}
	return reasons
}

// mostNotJoined is how many names that could not be joined are told one by one.
const mostNotJoined = 10

// notJoined says why nobody could be joined yet, with the last error of each name.
func notJoined(failures []string) (reasons []string) {
	const what = "no node could be joined yet"
	for _, f := range failures[:min(len(failures), mostNotJoined)] {
		reasons = append(reasons, what+": "+f)
	}
	if more := len(failures) - mostNotJoined; more > 0 {
		reasons = append(reasons, fmt.Sprintf("%s: and %d more, see the log", what, more))
	}
	if reasons == nil {
		return []string{what}
	}
	return reasons
}

// pingRPC does what an RPC client does first.
func pingRPC(ctx context.Context, dial dialFunc, addr net.Addr) error {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	conn, err := dial(ctx, addr.Network(), addr.String())
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
func (s *Server) Hung(ctx context.Context) (reasons []string) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	asked := map[string]<-chan struct{}{}
	for reason, probe := range s.cfg.Probes {
		asked[reason] = s.probes.ask(reason, probe)
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
