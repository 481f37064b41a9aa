package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"agentctl/agent/api"
	"agentctl/rpcclient"
)

// Exit statuses of an event that was published.
const (
	notApplied  = 2 // it is not known to be applied everywhere
	forNoTarget = 3 // no target of any node is for it
)

// leastWait is how long the agent has to answer, where -wait is shorter.
const leastWait = time.Second

// waiting is a command that publishes an event, and waits until some nodes have it on
// their disks, all nodes have applied it, or both. Its methods return the exit status,
// or an error if the event was not published.
type waiting struct {
	event   api.PublishRequest
	durable int  // nodes that are to have it on their disks; 0: none is asked
	targets bool // it is to be applied
	ops     opsFlags
	wait    time.Duration
	until   time.Time
	out     io.Writer
}

// limit bounds all that the command does.
func (w *waiting) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithDeadline(ctx, w.until.Add(max(0, leastWait-w.wait)))
}

// unanswered says of an error of publishing whether time was up.
func (w *waiting) unanswered(ctx context.Context, err error) error {
	if ctx.Err() == context.DeadlineExceeded {
		return sendingError(fmt.Errorf("the agent did not say within %v whether it has published the event", w.wait))
	}
	return err
}

// byHTTP publishes at the operations endpoint of an agent, and asks there.
func (w *waiting) byHTTP(ctx context.Context) (code int, err error) {
	client, err := w.ops.client()
	if err != nil {
		return 0, err
	}
	ctx, cancel := w.limit(ctx)
	defer cancel()
	began := time.Now()
	var sent api.PublishReport
	if err := client.post(ctx, "/v1/events"+w.query(), w.event, &sent); err != nil {
		return 0, w.unanswered(ctx, sendingError(err))
	}
	w.published(sent.Warning)
	if sent.Durable != nil {
		if code, err = w.onDisk(&sent); err != nil || !w.targets {
			return code, err
		}
	}
	applied, err := w.outcome(ctx, client, sent.ID, began, sent.Durable)
	return max(code, applied), err
}

// query asks the agent to wait for disks. If the targets are waited for, too, some of the
// time is left for those.
func (w *waiting) query() string {
	if w.durable == 0 {
		return ""
	}
	wait := w.wait
	if w.targets {
		wait /= 2
	}
	return fmt.Sprintf("?durable=%d&wait=%v", w.durable, min(wait, api.MaxNodesWait))
}

// byRPC publishes at an agent's RPC address, and asks the operations endpoint that the
// agent names.
func (w *waiting) byRPC(ctx context.Context, to rpcclient.Config) (code int, err error) {
	if err := checkFormat(*w.ops.format); err != nil {
		return 0, err
	}
	ctx, cancel := w.limit(ctx)
	defer cancel()
	began := time.Now()
	sent, err := sendOverRPC(ctx, to, &w.event)
	if err != nil {
		return 0, w.unanswered(ctx, err)
	}
	w.published(sent.Warning)
	addr, err := endpointOf(to.Addr, sent.HTTPAddr)
	if err != nil {
		return w.unknown(sent.ID, err), nil
	}
	return w.outcome(ctx, newOpsClient(addr), sent.ID, began, nil)
}

// published tells that the event is published.
func (w *waiting) published(warning string) {
	warn(warning)
	if !w.ops.json() {
		dispatched(w.out, &w.event)
	}
}

// unknown tells that nobody can be asked. The status is not 1: who tries again then
// would publish the event again.
func (w *waiting) unknown(id string, err error) (code int) {
	if id != "" {
		id = " " + word(id)
	}
	fmt.Fprintf(os.Stderr, "The event%s is published, and what became of it is not known: %s\n", id, oneLine(err.Error()))
	return notApplied
}

// outcomeReport is what the command tells of an event that it has waited for.
type outcomeReport struct {
	api.NodesReport
	Durable *api.DurableReport `json:"durable,omitempty"`
}

// outcome waits for what becomes of the event, and tells it, in JSON with what is known
// of disks.
func (w *waiting) outcome(ctx context.Context, client *opsClient, id string, began time.Time, durable *api.DurableReport) (code int, err error) {
	report, err := nodesOf(ctx, client, id, w.until)
	if err != nil {
		if ctx.Err() == context.DeadlineExceeded {
			err = fmt.Errorf("the agent did not answer within %v", w.wait)
		}
		return w.unknown(id, err), nil
	}
	switch {
	case report.NoTarget:
		code = forNoTarget
	case !report.Applied:
		code = notApplied
	}
	if w.ops.json() {
		return code, writeLine(w.out, outcomeReport{report, durable})
	}
	_, err = fmt.Fprintln(w.out, published(&report, time.Since(began)))
	return code, err
}

// endpointOf is how the operations endpoint that an agent names is reached from where
// its RPC address is reached.
func endpointOf(rpcAddr, told string) (addr string, err error) {
	rpcHost, _, err := net.SplitHostPort(rpcAddr)
	if strings.HasPrefix(rpcAddr, "unix:") {
		rpcHost, err = "127.0.0.1", nil
	}
	if err != nil {
		return "", err // it was dialled, so it is one
	}
	elsewhere := func() (string, error) {
		return "", fmt.Errorf("the operations endpoint of the agent at %s is %s, which only its own host reaches: run the command there", rpcAddr, word(told))
	}
	local := isLoopback(rpcHost)
	if strings.HasPrefix(told, "unix:") {
		if !local {
			return elsewhere()
		}
		return told, nil
	}
	host, port, err := net.SplitHostPort(told)
	switch ip, ipErr := netip.ParseAddr(host); {
	case told == "":
		return "", errors.New("the agent names no operations endpoint: it is stock serf, is called as serf, has -http-addr=off, or is of an earlier version")
	case err != nil:
		return "", fmt.Errorf("the agent names an operations endpoint that is no address: %s", word(told))
	case ipErr == nil && ip.IsUnspecified():
		return net.JoinHostPort(rpcHost, port), nil
	case isLoopback(host) && !local:
		return elsewhere()
	}
	return told, nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
