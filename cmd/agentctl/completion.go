package main

import (
	"fmt"
	"io"
	"os"
)

type completionCommand struct{}

func (*completionCommand) Synopsis() string { return "Prints completions for bash, zsh or fish" }

func (*completionCommand) Help() string {
	return `Usage: agentctl completion bash|zsh|fish

  Prints a script that has a shell complete agentctl's commands and flags. The
  packages for Debian install them for all users.

Examples:

  source <(agentctl completion bash)
  agentctl completion bash > /etc/bash_completion.d/agentctl
  agentctl completion zsh > "${fpath[1]}/_agentctl"
  agentctl completion fish > ~/.config/fish/completions/agentctl.fish`
}

// shells write the completions of a shell.
var shells = []struct {
	name  string
	write func(io.Writer, []commandHelp) error
}{
	{"bash", writeBash}, {"fish", writeFish}, {"zsh", writeZsh},
}

func (c *completionCommand) Run(args []string) int {
	if err := c.print(args, os.Stdout); err != nil {
		printErrors("agentctl completion", err)
		return 1
	}
	return 0
}

func (c *completionCommand) print(args []string, out io.Writer) error {
	fs := newFlags("completion")
	if err := parseFlags(fs, args); err != nil {
		return err
	}
	if fs.NArg() != 1 {
		return &usageError{"say for which shell: bash, zsh or fish; \"agentctl completion -help\" shows how"}
	}
	for _, s := range shells {
		if s.name == fs.Arg(0) {
			return s.write(out, allHelp())
		}
	}
	return &usageError{fmt.Sprintf("there are no completions for %q: want bash, zsh or fish", fs.Arg(0))}
}

// kind is what a flag's value is, for the shell to offer.
type kind int

const (
	noValue kind = iota
	anyValue
	oneOf
	aFile
	aDir
)

func (f flagHelp) kind() kind {
	switch {
	case f.arg == "" || f.arg == "true" || f.arg == "false":
		return noValue
	case len(f.values()) > 0:
		return oneOf
	case f.arg == "FILE":
		return aFile
	case f.arg == "DIR":
		return aDir
	}
	return anyValue
}
