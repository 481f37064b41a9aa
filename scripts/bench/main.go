//go:build linux

// Bench measures agentctl against stock serf with event scripts, side by side
// on this machine, and prints one table. It starts real agents on loopback
// addresses, and the same publisher feeds all of them. A small HTTP server of its
// own notes when each POST comes. It works on Linux only, because it reads the cost
// of a process from /proc.
//
// Run it with scripts/bench.sh.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"agentctl/scripts/testkit/stock"
)

// bench is one run. Its parts run one after the other: they would disturb each
// other's figures.
type bench struct {
	plan    plan
	profile string // of gossip, for all but the latencies
	dir     string // of programs, scripts and logs; one folder for each cluster
	serf    string // programs
	ours    string
	out     io.Writer
	began   time.Time
	network byte // second byte of all addresses, so that two runs do not meet
	started byte // clusters so far; the third byte
	report  report
	keep    bool   // dir is to be looked at
	seed    uint64 // of the part broadcast

	peers string // the program of scripts/bench/peers
}

// parts are what is measured, in the order of the table.
var parts = []struct {
	name string
	run  func(*bench, context.Context) error
}{
	{"latency", (*bench).latency},
	{"burst", (*bench).bursts},
	{"rate", (*bench).rates},
	{"mixed", (*bench).mixed},
	{"cost", (*bench).cost},
	{"command", (*bench).command},
	{"publish", (*bench).publishing},
	{"batch", (*bench).batches},
	{"memory", (*bench).memory},
	{"start", (*bench).startup},
	{"simulation", (*bench).simulate},
	{"broadcast", (*bench).broadcast},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	short := flags.Bool("short", false, "a run of six minutes in place of an hour: fewer nodes, events and pairs")
	only := flags.String("only", strings.Join(names, ","), "the parts to run")
	file := flags.String("json", "", "also write all figures to this file")
	profile := flags.String("profile", "lan", "gossip profile of all parts but latency, which has lan and wan: lan, wan or local")
	program := flags.String("agentctl", "", "the agentctl to measure, in place of one that is built from this folder's module")
	peers := flags.String("peers", "", "in place of all parts, compare with these programs: nats, redis and serf, with commas between them")
	peersProgram := flags.String("peers-program", "", "the program of scripts/bench/peers; scripts/bench.sh builds it")
	plot := flags.String("plot", "", "also draw the comparison of -peers, or else of the part broadcast how cost grows with the nodes, into this file, as SVG")
	nodes := flags.String("nodes", "", "sizes of the clusters of -peers and of the part latency, with commas between them, in place of the plan's")
	seed := flags.Uint64("seed", 1, "of chance in the part broadcast: the same seed gives the same figures")
	keep := flags.Bool("keep", false, "keep the folder with the agents' logs")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unknown argument %q; -help lists the flags", flags.Arg(0))
	}
	chosen := strings.Split(*only, ",")
	for _, name := range chosen {
		if !slices.Contains(names, name) {
			return fmt.Errorf("-only=%s: there is no part %q; there are %s", *only, name, strings.Join(names, ", "))
		}
	}
	against, err := chosenPeers(*peers, *peersProgram)
	if err != nil {
		return err
	}
	if against != nil {
		chosen = nil
	}
	b := &bench{plan: fullPlan, profile: *profile, ours: *program, peers: *peersProgram, out: out, keep: *keep, seed: *seed, began: time.Now()}
	if *short {
		b.plan = shortPlan
	}
	if err := b.plan.resize(*nodes); err != nil {
		return err
	}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	defer b.cleanup()
	ctx, cancel := context.WithTimeoutCause(ctx, b.plan.limit, fmt.Errorf("the run has taken %v, which is its limit", b.plan.limit))
	defer cancel()
	for _, p := range parts {
		if !slices.Contains(chosen, p.name) {
			continue
		}
		e := p.run(b, ctx)
		if ctx.Err() != nil { // what is there so far is printed
			err = errors.Join(err, fmt.Errorf("%s was not finished: %w", p.name, context.Cause(ctx)))
			break
		}
		if e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", p.name, e))
		}
	}
	if against != nil {
		err = b.compete(ctx, against)
	}
	b.report.Seconds = time.Since(b.began).Seconds()
	b.report.Machine.LoadAfter = loadAverage()
	fmt.Fprintf(out, "\n%s", b.report.markdown())
	if *file != "" {
		err = errors.Join(err, b.report.write(*file))
	}
	if *plot != "" {
		drawing := growth(b.report.Broadcasts)
		if len(b.report.Peers) > 0 {
			drawing = b.report.Peers.svg()
		}
		err = errors.Join(err, os.WriteFile(*plot, []byte(drawing), 0o644))
	}
	return err
}

// chosenPeers are those that -peers names, nil if it is not given.
func chosenPeers(list, program string) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	words := strings.Split(list, ",")
	for _, word := range words {
		if rivalsOf[word] == nil {
			return nil, fmt.Errorf("-peers=%s: there is no %q; there are nats, redis and serf", list, word)
		}
	}
	if program == "" {
		return nil, errors.New("-peers needs -peers-program: run scripts/bench.sh, which builds it")
	}
	return words, nil
}

// prepare builds both programs into a folder of this run.
func (b *bench) prepare(ctx context.Context) (err error) {
	b.report.Machine = thisMachine()
	b.report.Profile = b.profile
	b.network = 64 + byte(os.Getpid()%64) // 127.64 to 127.127
	if b.dir, err = os.MkdirTemp("", "agentctl-bench-"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(b.dir)
		}
	}()
	if b.report.Interpreter, err = interpreter(); err != nil {
		return err
	}
	b.say("building what is not there: agentctl, stock serf %s", stock.V011)
	if b.ours == "" {
		b.ours = filepath.Join(b.dir, "agentctl")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", b.ours, "agentctl/cmd/agentctl")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("building agentctl: %w\n%s", err, out)
		}
	}
	b.serf, err = stock.Install(stock.V011)
	return err
}

func (b *bench) cleanup() {
	if b.keep {
		b.say("the agents' logs are in %s", b.dir)
		return
	}
	os.RemoveAll(b.dir)
}

// say prints a line of progress.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.out, "%5.0f s  %s\n", time.Since(b.began).Seconds(), fmt.Sprintf(format, args...))
}

// sleep waits, unless ctx ends before; then it returns why.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
