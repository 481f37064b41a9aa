package main

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"

	"github.com/hashicorp/serf/cmd/serf/command"
	"github.com/hashicorp/serf/serf"
	"github.com/mitchellh/cli"

	"agentctl/agent/config"
)

// serfVersion is what "serf version" answers: each Kong from 0.6 to 0.10 takes
// this one and refuses what today's serf says. serfVersionEnv sets another.
const (
	serfVersion    = "0.7.0"
	serfVersionEnv = "AGENTCTL_SERF_VERSION"
)

// runSerf is the program standing in for serf: the same commands, output, exit
// status and streams. What differs on purpose stands in compat_test.go.
func runSerf(args []string) int {
	for _, arg := range args {
		if arg == "-v" || arg == "--version" {
			args = append([]string{"version"}, args...)
			break
		}
	}
	ui := &cli.BasicUi{Reader: os.Stdin, Writer: os.Stdout}
	cs := map[string]cli.CommandFactory{
		"agent":   func() (cli.Command, error) { return &serfAgentCommand{ui: ui}, nil },
		"event":   func() (cli.Command, error) { return &command.EventCommand{Ui: ui}, nil },
		"version": func() (cli.Command, error) { return &serfVersionCommand{}, nil },
	}
	for name, cmd := range serfVerbs(ui) {
		cs[name] = func() (cli.Command, error) { return cmd(), nil }
	}
	cs["keygen"] = func() (cli.Command, error) { return &serfKeygenCommand{command.KeygenCommand{Ui: ui}}, nil }
	c := &cli.CLI{Args: args, Commands: cs, HelpFunc: cli.BasicHelpFunc("serf")}
	code, err := c.Run()
	if err != nil {
		fmt.Fprintf(os.Stderr, "Error executing CLI: %s\n", err)
		return 1
	}
	return code
}

// serfVersionCommand is serf's version command with a version that Kong takes.
type serfVersionCommand struct{}

func (*serfVersionCommand) Synopsis() string { return (&command.VersionCommand{}).Synopsis() }
func (*serfVersionCommand) Help() string     { return (&command.VersionCommand{}).Help() }

func (*serfVersionCommand) Run([]string) int {
	fmt.Printf("Serf v%s\n", firstEnv(serfVersion, serfVersionEnv))
	fmt.Printf("Agent Protocol: %d (Understands back to: %d)\n", config.DefaultProtocol, serf.ProtocolVersionMin)
	return 0
}

// serfKey is the size of the keys that "serf keygen" makes, in bytes: that of serf 0.7
// to 0.8.1, which Kong came with. Kong's own tests expect it. Every serf takes it.
const serfKey = 16

// serfKeygenCommand is serf's keygen command with the key of the serf that Kong knows.
type serfKeygenCommand struct{ command.KeygenCommand }

func (c *serfKeygenCommand) Run([]string) int {
	key := make([]byte, serfKey)
	rand.Read(key) // it never fails
	c.Ui.Output(base64.StdEncoding.EncodeToString(key))
	return 0
}
