// Agentctl carries the events of a Serf cluster to the API gateway or cache
// beside it. Run "agentctl -help".
package main

import (
	"cmp"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mitchellh/cli"

	"agentctl/agent/config"
	"agentctl/cmd/agentctl/quick"
)

func main() {
	log.SetOutput(io.Discard) // libraries' chatter; the agent takes it into its own log
	if sent := quick.Left(); sent != nil {
		os.Exit(finishEvent(sent))
	}
	name := strings.TrimSuffix(strings.ToLower(filepath.Base(os.Args[0])), ".exe")
	os.Exit(run(name, os.Args[1:]))
}

// run is the program, called by this name and with these arguments; it returns
// the exit status. Called as serf, or as "agentctl serf", it stands in for
// serf; called as serf_event.sh, it is "agentctl handler".
func run(name string, args []string) int {
	// Serf's own commands know only serf's names of these.
	for _, v := range []string{"RPC_ADDR", "RPC_AUTH"} {
		if ours := os.Getenv("AGENTCTL_" + v); ours != "" && os.Getenv("SERF_"+v) == "" {
			os.Setenv("SERF_"+v, ours)
		}
	}
	switch {
	case name == "serf":
		return runSerf(args)
	case len(args) > 0 && args[0] == "serf":
		return runSerf(args[1:])
	case name == "serf_event.sh":
		args = append([]string{"handler"}, args...)
	case len(args) > 0 && args[0] == "help":
		args = append(args[1:], "-help")
	}
	c := &cli.CLI{
		Name:       "agentctl",
		Args:       args,
		Commands:   commands(),
		HelpFunc:   help,
		HelpWriter: os.Stdout, ErrorWriter: os.Stderr,
	}
	if c.IsVersion() {
		return (&versionCommand{}).Run(nil)
	}
	if name := c.Subcommand(); name != "" && c.Commands[name] == nil {
		fmt.Fprintf(os.Stderr, "agentctl: unknown command %q%s \"agentctl -help\" lists the commands\n", name, suggest(name, c.Commands))
		return 127
	} else if name == "" && len(args) > 0 && !c.IsHelp() {
		fmt.Fprintf(os.Stderr, "agentctl: unknown flag %q; \"agentctl -help\" lists the commands\n", args[0])
		return 1
	}
	code, err := c.Run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "agentctl:", err)
		return 1
	}
	return code
}

// suggest is the end of a message on a command that does not exist.
func suggest(name string, cs map[string]cli.CommandFactory) string {
	return cmp.Or(config.DidYouMean(name, slices.Sorted(maps.Keys(cs))), ";")
}

// own are the commands that serf does not have, or that do more than serf's.
var own = []string{"agent", "check", "completion", "dev", "dev-gateway", "event", "events", "handler", "health", "man", "replay", "status", "top", "version"}

func commands() map[string]cli.CommandFactory {
	cs := map[string]cli.CommandFactory{}
	for name, cmd := range safeVerbs(&cli.BasicUi{Reader: os.Stdin, Writer: os.Stdout}) {
		cs[name] = func() (cli.Command, error) { return renamed{cmd(), serfExamples(name)}, nil }
	}
	cs["agent"] = func() (cli.Command, error) { return &agentCommand{}, nil }
	cs["check"] = func() (cli.Command, error) { return &checkCommand{}, nil }
	cs["completion"] = func() (cli.Command, error) { return &completionCommand{}, nil }
	cs["dev"] = func() (cli.Command, error) { return &devCommand{}, nil }
	cs["dev-gateway"] = func() (cli.Command, error) { return &devGatewayCommand{}, nil }
	cs["event"] = func() (cli.Command, error) { return &eventCommand{}, nil }
	cs["events"] = func() (cli.Command, error) { return &eventsCommand{}, nil }
	cs["handler"] = func() (cli.Command, error) { return &handlerCommand{}, nil }
	cs["health"] = func() (cli.Command, error) { return &healthCommand{}, nil }
	cs["man"] = func() (cli.Command, error) { return &manCommand{}, nil }
	cs["replay"] = func() (cli.Command, error) { return &replayCommand{}, nil }
	cs["status"] = func() (cli.Command, error) { return &statusCommand{}, nil }
	cs["top"] = func() (cli.Command, error) { return &topCommand{}, nil }
	cs["version"] = func() (cli.Command, error) { return &versionCommand{}, nil }
	return cs
}

// help is the text of "agentctl -help".
func help(cs map[string]cli.CommandFactory) string {
	var b strings.Builder
	b.WriteString(`Usage: agentctl [-version] [-help] COMMAND [ARGS]

  Carries the events of a Serf cluster to the API gateway or cache beside it.
  "agentctl dev" shows it at work; "agentctl COMMAND -help" explains a command.

Commands:

`)
	list := func(names []string) {
		for _, name := range names {
			if cmd, err := cs[name](); err == nil {
				fmt.Fprintf(&b, "  %-14s %s\n", name, cmd.Synopsis())
			}
		}
	}
	list(own)
	b.WriteString("\nCommands of serf, for this agent and for stock ones:\n\n")
	list(slices.DeleteFunc(slices.Sorted(maps.Keys(cs)), func(name string) bool { return slices.Contains(own, name) }))
	return strings.TrimRight(b.String(), "\n")
}
