package main

import (
	"os"
	"os/signal"
	"strings"

	"github.com/hashicorp/serf/cmd/serf/command"
	"github.com/mitchellh/cli"
)

// serfCommands are the verbs of serf that are taken over as they are, from
// serf's own package, so that what they print is serf's to the byte.
func serfCommands() map[string]cli.CommandFactory {
	ui := renamingUI{&cli.BasicUi{Reader: os.Stdin, Writer: os.Stdout}}
	cs := map[string]cli.CommandFactory{}
	add := func(name string, cmd func() cli.Command) {
		cs[name] = func() (cli.Command, error) { return renamed{cmd()}, nil }
	}
	add("force-leave", func() cli.Command { return &command.ForceLeaveCommand{Ui: ui} })
	add("info", func() cli.Command { return &command.InfoCommand{Ui: ui} })
	add("join", func() cli.Command { return &command.JoinCommand{Ui: ui} })
	add("keygen", func() cli.Command { return &command.KeygenCommand{Ui: ui} })
	add("keys", func() cli.Command { return &command.KeysCommand{Ui: ui} })
	add("leave", func() cli.Command { return &command.LeaveCommand{Ui: ui} })
	add("members", func() cli.Command { return &command.MembersCommand{Ui: ui} })
	add("monitor", func() cli.Command { return &command.MonitorCommand{Ui: ui, ShutdownCh: interrupts()} })
	add("query", func() cli.Command { return &command.QueryCommand{Ui: ui, ShutdownCh: interrupts()} })
	add("reachability", func() cli.Command { return &command.ReachabilityCommand{Ui: ui, ShutdownCh: interrupts()} })
	add("rtt", func() cli.Command { return &command.RTTCommand{Ui: ui} })
	add("tags", func() cli.Command { return &command.TagsCommand{Ui: ui} })
	return cs
}

// interrupts sends for each interrupt of the user's.
func interrupts() <-chan struct{} {
	out := make(chan struct{})
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt)
	go func() {
		for range signals {
			out <- struct{}{}
		}
	}()
	return out
}

// rename makes serf's help texts speak of this program.
func rename(text string) string {
	return strings.NewReplacer("Usage: serf ", "Usage: agentctl ", "`serf ", "`agentctl ").Replace(text)
}

// renamed is a command of serf's under our name.
type renamed struct{ cli.Command }

func (r renamed) Help() string { return rename(r.Command.Help()) }

// renamingUI is the Ui of serf's commands, which print their help themselves
// where a flag is wrong.
type renamingUI struct{ cli.Ui }

func (u renamingUI) Output(s string) { u.Ui.Output(rename(s)) }
func (u renamingUI) Error(s string)  { u.Ui.Error(rename(s)) }
