package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"agentctl/agent/version"
)

type manCommand struct{}

func (*manCommand) Synopsis() string { return "Prints the man page" }

func (*manCommand) Help() string {
	return `Usage: agentctl man

  Prints the man page of agentctl, made of the help texts of all commands.

Examples:

  agentctl man | man -l -
  agentctl man > /usr/local/share/man/man1/agentctl.1`
}

func (c *manCommand) Run(args []string) int {
	fs := newFlags("man")
	err := parseFlags(fs, args)
	if err == nil && fs.NArg() > 0 {
		err = unexpected(fs)
	}
	if err == nil {
		err = writeMan(os.Stdout, allHelp())
	}
	if err != nil {
		printErrors("agentctl man", err)
		return 1
	}
	return 0
}

// exitStatuses are the program's, for the man page and the page on the commands.
var exitStatuses = []struct {
	status int
	text   string
}{
	{0, "done; for an agent, ended as it was asked to"},
	{1, "failed; the last lines say why. Of `health`: not healthy, or not ready"},
	{exitNotWell, "`status -check`: the agent answers, and not all is well. `event -wait`: published, and not known to be applied everywhere"},
	{forNoTarget, "`event -wait`: published, and no target of any node is for the event"},
	{exitConfig, "`check`: the configuration is wrong, or the journal is damaged"},
	{127, "no such command"},
	{130, "`replay`: interrupted; the replay goes on"},
}

// roff escapes text for a man page, as a line of its own.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, `-`, `\-`, "`", "").Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}

// writeMan writes the man page agentctl(1).
func writeMan(w io.Writer, all []commandHelp) error {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line(`.TH AGENTCTL 1 "" "agentctl %s" "User Commands"`, roff(version.Version))
	line(".SH NAME\nagentctl \\- carries the events of a Serf cluster to the gateway or cache beside it")
	line(".SH SYNOPSIS\n.B agentctl\n.I COMMAND\n[options] [arguments]")
	line(".SH DESCRIPTION")
	line("An agent beside each API gateway or cache joins the gossip of a Serf cluster and makes one HTTP POST")
	line("to the local endpoint for each event. Called as")
	line(".BR serf ,\nthe program stands in for serf; called as\n.BR serf_event.sh ,\nfor an event script of Kong's.")
	line(".SH COMMANDS")
	for i := range all {
		h := &all[i]
		line(".SS %s", roff(h.name))
		line("%s.", roff(strings.TrimSuffix(h.synopsis, ".")))
		line(".PP\n.nf")
		for _, usage := range h.usage {
			line("%s", roff(usage))
		}
		line(".fi")
		writeManBody(line, h.body)
	}
	line(".SH EXIT STATUS")
	for _, e := range exitStatuses {
		line(".TP\n.B %d\n%s", e.status, roff(e.text))
	}
	line(".SH ENVIRONMENT")
	line("Each option of\n.B agentctl agent\nis also a variable: AGENTCTL_ and its name in capitals, with _ for each dash.")
	line("SERF_RPC_ADDR and SERF_RPC_AUTH are for the commands that talk to an agent.")
	_, err := io.WriteString(w, b.String())
	return err
}

// isKey tells whether a text begins with a key of the configuration: a single word,
// and below it, deeper, its meaning.
func isKey(text []string) bool {
	return len(text) > 1 && len(strings.Fields(text[0])) == 1 && !strings.HasPrefix(text[0], tableIndent) &&
		strings.HasPrefix(text[1], tableIndent)
}

// tableIndent begins a line of a table in a help text.
const tableIndent = "    "

// writeManBody writes what stands below a command's usage: flags and keys
// as lists, tables and examples as they are, else paragraphs.
func writeManBody(line func(format string, args ...any), body []string) {
	verbatim, fresh, inFlag := false, true, false
	examples := false
	end := func() {
		if verbatim {
			line(".fi\n.RE")
			verbatim = false
		}
	}
	for i, text := range body {
		f, isFlag := readFlag(text)
		trimmed := strings.TrimSpace(text)
		switch {
		case trimmed == "":
			end()
			fresh, inFlag = true, false
		case !strings.HasPrefix(text, " ") && !strings.HasPrefix(text, "\t"): // a title
			end()
			examples = strings.HasPrefix(text, "Example")
			if fresh {
				line(".PP")
			}
			line("%s", roff(text))
			fresh, inFlag = false, false
		case isFlag && !examples:
			name := "-" + f.name
			if f.arg != "" {
				name += "=" + f.arg
			}
			line(".TP\n.B %s", roff(name))
			if f.text != "" {
				line("%s", roff(f.text))
			}
			fresh, inFlag = true, true
		case isKey(body[i:]):
			line(".TP\n.B %s", roff(trimmed))
			fresh, inFlag = true, true
		case inFlag:
			line("%s", roff(trimmed))
		case examples || strings.HasPrefix(text, tableIndent):
			if !verbatim {
				line(".PP\n.RS 4\n.nf")
				verbatim = true
			}
			if !examples {
				trimmed = strings.TrimPrefix(text, tableIndent)
			}
			line("%s", roff(trimmed))
		default:
			if fresh {
				line(".PP")
				fresh = false
			}
			line("%s", roff(trimmed))
		}
	}
	end()
}
