package main

// We write the scripts ourselves. We tried posener/complete v1.2.3, which
// mitchellh/cli drives (cli.CLI.Autocomplete), and it does less:
//
//   - It completes -flag=value in bash alone. Zsh and fish take "-flag=value"
//     for one word, and it offers them the bare value. Our help, as serf's,
//     writes flags in this form.
//   - It installs itself into the user's own files, such as .bashrc. It cannot
//     print a script for a package to install for all users.
//   - It offers no descriptions in zsh and fish.
//   - It starts the program at every Tab. These scripts start it only for values
//     that the running agent has.
//   - It needs the flags of each command listed again, also of serf's commands.
//     Here the help texts are the only source.
//
// Stock serf completes nothing, so there is no script for the name serf.

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"agentctl/agent/api"
	"agentctl/handler/text"
)

type completionCommand struct{}

func (*completionCommand) Synopsis() string { return "Prints completions for bash, zsh or fish" }

func (*completionCommand) Help() string {
	return `Usage: agentctl completion bash|zsh|fish
       agentctl completion -values=targets|events

  Prints a script that has a shell complete agentctl's commands, flags and
  values. The packages for Debian install them for all users.

  The second form is for these scripts. It asks the agent at AGENTCTL_HTTP_ADDR,
  or at 127.0.0.1:7374, and prints a value on each line.

Options:

  -values=targets|events  Print the names of the agent's targets, or the IDs of
                          its newest events. Names that a shell would have to
                          quote are left out.

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
	values := fs.String("values", "", "")
	if err := parseFlags(fs, args); err != nil {
		return err
	}
	if *values != "" {
		if fs.NArg() > 0 {
			return unexpected(fs)
		}
		return printValues(*values, out)
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

// What a running agent can be asked for: the values of -values.
const (
	askTargets = "targets"
	askEvents  = "events"
)

const (
	valuesTimeout = 2 * time.Second // someone waits for the shell
	valuesEvents  = 50
)

// printValues asks the agent for values, and prints those that can stand on a
// command line as they are.
func printValues(what string, out io.Writer) error {
	client, err := opsOfEnvironment().client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), valuesTimeout)
	defer cancel()
	var values []string
	switch what {
	case askTargets:
		var s api.StatusReport
		err = client.get(ctx, "/v1/status", &s)
		for i := range s.Targets {
			values = append(values, s.Targets[i].Target)
		}
	case askEvents:
		var page api.EventPage
		err = client.get(ctx, fmt.Sprintf("/v1/events?limit=%d", valuesEvents), &page)
		for _, e := range slices.Backward(page.Events) { // the newest first
			values = append(values, e.ID)
		}
	default:
		return &usageError{fmt.Sprintf("-values: %q is neither %s nor %s", what, askTargets, askEvents)}
	}
	for _, v := range values {
		if err == nil && !needsQuotes(v) {
			_, err = fmt.Fprintln(out, v)
		}
	}
	return err
}

// quotable finds what a shell may take for more than its characters. Inside a
// word, # begins no comment.
var quotable = text.LazyRegexp(`^[-#]|^$|[^\w./:@%+,#-]`)

func needsQuotes(word string) bool { return quotable().MatchString(word) }

// kind is what a flag's value is, for the shell to offer.
type kind int

const (
	noValue kind = iota
	anyValue
	oneOf
	aFile
	aDir
	fromAgent
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
	case f.ask() != "":
		return fromAgent
	}
	return anyValue
}

// ask is what to ask the agent for, to complete the flag's value; or "".
func (f flagHelp) ask() string {
	switch f.name + "=" + f.arg {
	case "target=NAME":
		return askTargets
	case "id=ID":
		return askEvents
	}
	return ""
}

// idAfter is the word that an event's ID follows, as "show" in "events show
// [options] ID"; or "".
func (h *commandHelp) idAfter() string {
	for _, line := range h.usage {
		if words := strings.Fields(line); len(words) > 3 && words[len(words)-1] == "ID" && slices.Contains(h.words, words[2]) {
			return words[2]
		}
	}
	return ""
}
