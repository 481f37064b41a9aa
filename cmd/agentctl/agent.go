package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent"
	"agentctl/agent/config"
	"agentctl/agent/logs"
)

type agentCommand struct{}

func (*agentCommand) Synopsis() string { return "Runs an agent beside a gateway" }

func (*agentCommand) Help() string {
	var b strings.Builder
	b.WriteString(`Usage: agentctl agent [options]

  Joins the cluster and POSTs its events to the gateway beside it. Runs until
  SIGTERM or an interrupt, then leaves the cluster and delivers what waits. A
  second signal ends it at once.

  With neither -event-handler nor -gateway, member events and user:kong go to
  ` + config.DefaultGateway + `.

Options, each also a variable of the environment (-log-level is
AGENTCTL_LOG_LEVEL). A flag overrides a variable, and a variable overrides a
file; lists, such as -retry-join and -event-handler, add up:

  -config-file=FILE
      read settings from a JSON file; may be repeated
  -config-dir=DIR
      read every .json file of a folder, in alphabetical order; may be repeated
`)
	defaults := config.DefaultOptions()
	for _, s := range config.Settings() {
		if s.Flag == "" {
			continue
		}
		fmt.Fprintf(&b, "  -%s", s.Flag)
		if s.Arg != "" {
			fmt.Fprintf(&b, "=%s", s.Arg)
		}
		b.WriteString("\n      " + s.Usage)
		if s.Repeat {
			b.WriteString("; may be repeated")
		}
		if d := s.Default(&defaults); d != "" {
			fmt.Fprintf(&b, " (default %s)", d)
		}
		b.WriteString("\n")
	}
	b.WriteString("\nThese have no flag. In the environment they are AGENTCTL_ with the name in capitals:\n\n")
	for _, s := range config.Settings() {
		if s.Flag == "" && s.Key != "targets" {
			fmt.Fprintf(&b, "  %s\n      %s\n", s.Key, s.Usage)
		}
	}
	b.WriteString(`
In files only:

  targets
      targets to POST to, with more to say of each than a URL;
      "agentctl check -example" shows some

Event handlers:

  -event-handler=FILTER=WHAT takes serf's filters: event types with commas
  between them (member-join, member-leave, member-failed, member-update,
  member-reap, user, user:NAME, query, query:NAME, or * for all; no filter
  means all). WHAT is a URL to POST to (http://, https://, or unix:/socket:/path),
  or a script, which is run as serf runs it.

Examples:

  agentctl agent -retry-join=10.0.0.5 -gateway=http://127.0.0.1:8001/cluster/events/
  agentctl agent -event-handler='user:purge=http://127.0.0.1:6081/' -event-handler='member-failed=./alert.sh'`)
	return b.String()
}

func (c *agentCommand) Run(args []string) int {
	conf, err := compileOptions(newFlags("agent"), config.DefaultOptions(), args)
	if err != nil {
		printErrors("agentctl agent", err)
		return 1
	}
	hub, err := newHub(conf, os.Stderr, conf.LogFormat)
	if err != nil {
		printErrors("agentctl agent", err)
		return 1
	}
	defer closeLog(conf, hub)
	if err := runAgent(conf, args, hub); err != nil {
		closeLog(conf, hub) // its last lines come first
		printErrors("agentctl agent", err)
		return 1
	}
	return 0
}

// runAgent runs an agent until a signal or a failure ends it. At SIGHUP, args
// are read again, and the files that they name, and failed events are tried at once.
func runAgent(conf *config.Config, args []string, hub *logs.Hub) error {
	log.SetFlags(0)
	log.SetOutput(hub.StdLogger().Writer())
	manager := &serviceManager{logger: hub.Logger()}
	registry := prometheus.NewRegistry()
	stopTelemetry, err := startTelemetry(conf, registry)
	if err != nil {
		return err
	}
	defer stopTelemetry()
	a, err := agent.New(conf, hub, agent.Hooks{Stopping: manager.stopping, Metrics: registry})
	if err != nil {
		return err
	}
	defer manager.follow(a)()
	ctx, stop := onSignals(conf, signalActions{
		tell: func(sig os.Signal, next nextAction) {
			hub.Logger().Warn("caught a signal: "+next.String(), "signal", sig.String())
		},
		reload: manager.reloading(func() {
			conf, err := compileOptions(newFlags("agent"), config.DefaultOptions(), args)
			if err == nil {
				err = a.Reload(conf)
			}
			for _, line := range errorLines(err) {
				hub.Logger().Error("configuration not reloaded, the old one stays: " + line)
			}
			// Whoever repaired a gateway, or what the agent says to it, waits for no wait.
			a.RetryNow()
		}),
		last: func() { closeWithin(hub, lastWords) },
	})
	defer stop()
	return runToTheEnd(ctx, a, hub)
}

// runToTheEnd runs an agent to its end, and logs what did not go well then. Such an
// end is no failure of the program: the error is why the agent ended.
func runToTheEnd(ctx context.Context, a *agent.Agent, hub *logs.Hub) error {
	spare, noMore := context.WithCancel(ctx)
	var looking sync.WaitGroup
	looking.Go(func() { newSpareMemory().run(spare) })
	if g := newHeapGrowth(); g != nil {
		g.await(spare)
	}
	err := a.Run(ctx)
	noMore()
	looking.Wait()
	if stop, ok := errors.AsType[*agent.StopError](err); ok {
		for _, line := range errorLines(stop.Steps) {
			hub.Logger().Warn("stopping: " + line)
		}
		return stop.Cause
	}
	return err
}

// compileOptions makes one checked value of all settings of an agent: the
// defaults, and those of files, the environment and the command line. Its error
// names everything that is wrong, wherever it comes from.
func compileOptions(fs *flag.FlagSet, defaults config.Options, args []string) (*config.Config, error) {
	in, err := agentOptions(fs, args, defaults.AsSerf)
	if isUsage(err) {
		return nil, err
	}
	in.Defaults, in.Environ = defaults, os.Environ()
	conf, compileErr := config.Compile(in)
	if err = errors.Join(err, compileErr); err != nil {
		return nil, err
	}
	return conf, nil
}

// agentOptions reads an agent's command line, and no values of its flags yet. As serf
// it passes words behind the flags over, and refuses a number that is none at once.
func agentOptions(fs *flag.FlagSet, args []string, asSerf bool) (in config.Input, err error) {
	for _, name := range []string{"config-file", "config-dir"} {
		fs.Func(name, "", func(v string) error { in.Files = append(in.Files, v); return nil })
	}
	for _, s := range config.Settings() {
		if s.Flag != "" {
			f := &settingFlag{setting: s, to: &in.Flags}
			if asSerf {
				f.try = s.Try
			}
			fs.Var(f, s.Flag, "")
		}
	}
	if err := parseFlags(fs, args); err != nil {
		return in, err
	}
	if fs.NArg() > 0 && !asSerf {
		err = fmt.Errorf("unexpected argument %q; \"agentctl agent -help\" lists the flags", fs.Arg(0))
	}
	return in, err
}

// settingFlag is a setting as a flag, whose values are kept as they are typed.
type settingFlag struct {
	setting config.Setting
	to      *[]config.Flag
	try     func(value string) error // nil: all that is wrong is told together, later
	last    string
}

func (f *settingFlag) Set(v string) error {
	if f.try != nil {
		if err := f.try(v); err != nil {
			return err
		}
	}
	f.last = v
	*f.to = append(*f.to, config.Flag{Setting: f.setting, Value: v})
	return nil
}

func (f *settingFlag) IsBoolFlag() bool { return f.setting.IsBool() }

func (f *settingFlag) String() string { return f.last }

var _ flag.Value = (*settingFlag)(nil)

// errorLines are the lines of an error, one for each of several joined ones.
func errorLines(err error) []string {
	if err == nil {
		return nil
	}
	return strings.Split(strings.TrimRight(err.Error(), "\n"), "\n")
}

// printErrors prints an error, or each of several joined ones, as a line.
func printErrors(who string, err error) {
	for _, line := range errorLines(err) {
		fmt.Fprintf(os.Stderr, "%s: %s\n", who, escapedLines([]byte(line)))
	}
}
