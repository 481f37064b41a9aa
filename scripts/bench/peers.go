//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"agentctl/rpcclient"
)

// rival is what carries events to gateways in the comparison with other programs.
type rival string

const (
	sixteen   rival = "agentctl, 16 connections" // an event for each request
	oneBatch  rival = "agentctl, one batch"
	natsPlain rival = "NATS + subscriber" // that POSTs with net/http
	natsOurs  rival = "NATS + our client" // that POSTs with agentctl's HTTP client
	redis     rival = "Redis + subscriber"
	curlSerf  rival = "serf, curl script"
)

// rivalsOf are those of each word of -peers. Agentctl always runs beside them.
var rivalsOf = map[string][]rival{"nats": {natsPlain, natsOurs}, "redis": {redis}, "serf": {curlSerf}}

const (
	// peerBytes is the size of an event's payload, as scripts/bench/peers publishes it.
	peerBytes = 240
	// singleGap is between single events, which are published at random moments.
	singleGap = 20 * time.Millisecond
	// peerLimit is how long all of a burst is waited for.
	peerLimit = time.Minute
	// serfQuiet is for how long nothing comes once stock serf's burst is over, of which
	// some is lost.
	serfQuiet = 5 * time.Second
)

// contest is rivals at work on one number of nodes.
type contest struct{ nodes, events int }

// field is a rival that runs.
type field struct {
	rec     *recorder
	gateway *gateway
	agents  *cluster   // of agentctl and serf
	beside  []*process // a broker, and its subscribers
	burst   func(ctx context.Context, round, events int) error
	// one publishes an event, and says from when on it is counted.
	one  func(ctx context.Context, round, event int) (time.Time, error)
	ends []func()
}

func (f *field) close() {
	for _, end := range slices.Backward(f.ends) {
		end()
	}
}

// usage is the CPU time that all programs have used which carry events. The publisher
// and the gateway are not among them.
func (f *field) usage() (sum time.Duration, err error) {
	all := f.beside
	if f.agents != nil {
		for _, m := range f.agents.members {
			all = append(all, m.process)
		}
	}
	for _, p := range all {
		u, err := p.usage()
		if err != nil {
			return 0, err
		}
		sum += u.cpu
	}
	return sum, nil
}

// compete runs the rivals by turns, so that a noisy machine is noisy for all of them.
func (b *bench) compete(ctx context.Context, peers []string) error {
	rivals := []rival{sixteen, oneBatch}
	for _, word := range peers {
		rivals = append(rivals, rivalsOf[word]...)
	}
	for turn := range b.plan.peerPairs {
		for _, c := range b.plan.contests {
			for _, r := range rivals {
				if r == curlSerf {
					if turn > 0 {
						continue // it is far behind the others, and takes minutes
					}
					c.events = max(1, min(c.events, 3*b.plan.serfBurst/c.nodes))
				}
				res, err := b.measure(ctx, r, c)
				if err != nil {
					return fmt.Errorf("%s, %d nodes: %w", r, c.nodes, err)
				}
				b.report.Peers = append(b.report.Peers, res)
				b.say("%d nodes, %s: %s POSTs/s of %d events, %s ms CPU for each, %s %% at the worst node; single events p50 %s ms, p99 %s ms",
					c.nodes, r, number(res.Rate), c.events, number(res.CPU), number(res.Share), number(percentile(50, res.Singles)), number(percentile(99, res.Singles)))
			}
		}
	}
	return nil
}

// measure measures a rival once.
func (b *bench) measure(ctx context.Context, r rival, c contest) (res peerResult, err error) {
	f, err := b.field(ctx, r, c.nodes)
	if err != nil {
		return res, err
	}
	defer f.close()
	res = peerResult{Rival: r, Nodes: c.nodes, Events: c.events}
	round := f.rec.begin(b.plan.singles)
	for i := range b.plan.singles {
		if err := sleep(ctx, singleGap+rand.N(singleGap)); err != nil {
			return res, err
		}
		began, err := f.one(ctx, round, i)
		if err != nil {
			return res, err
		}
		if last, all := f.rec.await(ctx, i, latencyLimit); all {
			res.Singles = append(res.Singles, millis(last.Sub(began)))
		}
	}
	before, err := f.usage()
	if err != nil {
		return res, err
	}
	round = f.rec.begin(c.events)
	began := time.Now()
	if err := f.burst(ctx, round, c.events); err != nil {
		return res, err
	}
	quiet := peerLimit
	if r == curlSerf {
		quiet = serfQuiet
	}
	o := f.rec.settle(ctx, c.events, quiet, peerLimit)
	after, err := f.usage()
	if err != nil {
		return res, err
	}
	if f.agents != nil {
		b.checkLoss(f.agents, o)
	}
	res.Share = 100 * o.worst()
	res.Rate = float64(o.total) / o.last.Sub(began).Seconds()
	res.CPU = millis(after-before) / float64(max(o.total, 1))
	return res, ctx.Err()
}

// field starts a rival, and has some events reach every gateway.
func (b *bench) field(ctx context.Context, r rival, nodes int) (f *field, err error) {
	f = new(field)
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	switch r {
	case sixteen, oneBatch, curlSerf:
		err = b.agentsField(ctx, f, r, nodes)
	default:
		err = b.brokerField(ctx, f, r, nodes)
	}
	if err != nil {
		return f, err
	}
	round := f.rec.begin(warmEvents)
	for i := range warmEvents {
		if _, err := f.one(ctx, round, i); err != nil {
			return f, err
		}
		if _, all := f.rec.await(ctx, i, warmLimit); !all {
			return f, fmt.Errorf("an event is not at all %d gateways after %v", nodes, warmLimit)
		}
	}
	return f, nil
}

func (b *bench) agentsField(ctx context.Context, f *field, r rival, nodes int) error {
	k := ours
	if r == curlSerf {
		k = curlScript
	}
	c, err := b.start(ctx, b.profile, slices.Repeat([]kind{k}, nodes)...)
	if err != nil {
		return err
	}
	f.agents, f.rec, f.gateway = c, c.rec, c.gateway
	f.ends = append(f.ends, c.close)
	f.one = func(ctx context.Context, round, event int) (time.Time, error) {
		began := time.Now()
		return began, c.publish.Publish(ctx, "kong", padded(round, event), false)
	}
	if f.burst = c.overConnections; r == oneBatch {
		f.burst = c.inOneBatch
	}
	return nil
}

// padded is a payload of peerBytes.
func padded(round, event int) []byte {
	p := bytes.TrimSuffix(payload(round, event), []byte("}}"))
	p = append(p, `,"pad":"`...)
	return append(append(p, bytes.Repeat([]byte("x"), max(peerBytes-len(p)-3, 0))...), `"}}`...)
}

// overConnections publishes a burst over several connections, of which each has one
// event in flight.
func (c *cluster) overConnections(ctx context.Context, round, events int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for first := range publishers {
		wg.Go(func() {
			client, err := rpcclient.Dial(ctx, rpcclient.Config{Addr: c.members[0].rpc()})
			if err != nil {
				cancel(err)
				return
			}
			defer client.Close()
			for i := first; i < events && err == nil; i += publishers {
				_, err = client.Publish(ctx, "kong", padded(round, i), false)
			}
			if err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func (c *cluster) inOneBatch(ctx context.Context, round, events int) error {
	body, lines := io.Pipe()
	go func() {
		lines.CloseWithError(writeLines(lines, "kong", events, func(i int) []byte { return padded(round, i) }))
	}()
	return c.publishLines(ctx, body)
}

// brokerField starts a broker, its subscribers and a publisher.
func (b *bench) brokerField(ctx context.Context, f *field, r rival, nodes int) (err error) {
	b.started++
	dir := filepath.Join(b.dir, fmt.Sprintf("broker%d", b.started))
	f.rec = newRecorder(nodes)
	if f.gateway, err = newGateway(f.rec); err != nil {
		return err
	}
	f.ends = append(f.ends, f.gateway.close)
	ip := net.IPv4(127, b.network, b.started, 1).String()
	addr, kind, client := ip+":4222", "nats", "net/http"
	server := []string{"nats-server", "-a", ip, "-p", "4222"}
	switch r {
	case natsOurs:
		client = "http1"
	case redis:
		addr, kind = ip+":6379", "redis"
		// Nothing is stored, and no subscriber is cut off as too slow.
		server = []string{"redis-server", "--bind", ip, "--port", "6379", "--save", "", "--appendonly", "no",
			"--client-output-buffer-limit", "pubsub 0 0 0"}
	}
	start := func(name string, command ...string) error {
		p, err := startProcess(dir+"-"+name+".log", command[0], command[1:]...)
		if err == nil {
			f.beside = append(f.beside, p)
			f.ends = append(f.ends, p.kill)
		}
		return err
	}
	if err := start("server", server...); err != nil {
		return err
	}
	if err := until(ctx, f.beside[0], func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	}); err != nil {
		return err
	}
	for i := range nodes {
		name := fmt.Sprintf("subscriber%d", i+1)
		if err := start(name, b.peers, "-broker="+kind, "-addr="+addr, "-client="+client, "-post="+f.gateway.url(i)); err != nil {
			return err
		}
	}
	for _, p := range f.beside[1:] {
		if err := until(ctx, p, func() bool { return strings.Contains(p.printed(), "ready") }); err != nil {
			return err
		}
	}
	return b.brokerPublisher(f, "-broker="+kind, "-addr="+addr)
}

// brokerPublisher starts what publishes to a broker when it is told to.
func (b *bench) brokerPublisher(f *field, args ...string) error {
	publisher := exec.Command(b.peers, args...)
	publisher.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err1 := publisher.StdinPipe()
	out, err2 := publisher.StdoutPipe()
	if err := errors.Join(err1, err2, publisher.Start()); err != nil {
		return err
	}
	f.ends = append(f.ends, func() {
		in.Close() // it ends at the end of its input
		publisher.Wait()
	})
	answers := bufio.NewReader(out)
	publish := func(round, first, count int) (began time.Time, err error) {
		if _, err := fmt.Fprintln(in, round, first, count); err != nil {
			return began, err
		}
		line, err := answers.ReadString('\n')
		if err != nil {
			return began, err
		}
		nanos, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
		return time.Unix(0, nanos), err
	}
	f.one = func(_ context.Context, round, event int) (time.Time, error) { return publish(round, event, 1) }
	f.burst = func(_ context.Context, round, events int) error {
		_, err := publish(round, 0, events)
		return err
	}
	return nil
}

// until waits until a process is as it should be.
func until(ctx context.Context, p *process, holds func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, errors.New("it did not start in time"))
	defer cancel()
	for !holds() {
		if p.ended() {
			return fmt.Errorf("a program ended; it printed:\n%s", p.printed())
		}
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return fmt.Errorf("%w; it printed:\n%s", err, p.printed())
		}
	}
	return nil
}
