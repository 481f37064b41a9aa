package main

import (
	"os"
	"os/signal"
	"strings"

	"github.com/hashicorp/serf/cmd/serf/command"
	"github.com/mitchellh/cli"
)

// serfVerbs are the commands of serf that are taken over as they are, from
// serf's own package, so that what they print is serf's to the byte.
func serfVerbs(ui cli.Ui) map[string]func() cli.Command {
	return map[string]func() cli.Command{
		"force-leave":  func() cli.Command { return &command.ForceLeaveCommand{Ui: ui} },
		"info":         func() cli.Command { return &command.InfoCommand{Ui: ui} },
		"join":         func() cli.Command { return &command.JoinCommand{Ui: ui} },
		"keygen":       func() cli.Command { return &command.KeygenCommand{Ui: ui} },
		"keys":         func() cli.Command { return &command.KeysCommand{Ui: ui} },
		"leave":        func() cli.Command { return &command.LeaveCommand{Ui: ui} },
		"members":      func() cli.Command { return &command.MembersCommand{Ui: ui} },
		"monitor":      func() cli.Command { return &command.MonitorCommand{Ui: ui, ShutdownCh: interrupts()} },
		"query":        func() cli.Command { return &command.QueryCommand{Ui: ui, ShutdownCh: interrupts()} },
		"reachability": func() cli.Command { return &command.ReachabilityCommand{Ui: ui, ShutdownCh: interrupts()} },
		"rtt":          func() cli.Command { return &command.RTTCommand{Ui: ui} },
		"tags":         func() cli.Command { return &command.TagsCommand{Ui: ui} },
	}
}

// safeVerbs are serf's commands as agentctl: what they print of the cluster cannot act on
// a terminal, or forge lines.
func safeVerbs(ui cli.Ui) map[string]func() cli.Command {
	safe := safeUI{Ui: ui}
	verbs := serfVerbs(safe)
	verbs["info"] = func() cli.Command { return &command.InfoCommand{Ui: safeUI{Ui: ui, lines: true}} }
	verbs["keys"] = func() cli.Command { return &keysCommand{command.KeysCommand{Ui: safe}} }
	verbs["members"] = func() cli.Command { return &membersCommand{command.MembersCommand{Ui: safe}} }
	verbs["query"] = func() cli.Command { return &queryCommand{command.QueryCommand{Ui: safe}} }
	return verbs
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
	return strings.NewReplacer("Usage: serf ", "Usage: agentctl ", "`serf ", "`agentctl ",
		`"serf agent"`, `"agentctl agent"`, `"serf members"`, `"agentctl members"`,
		// Flags whose help does not say that they take a value.
		"  -format                ", "  -format=text|json      ", "  -relay-factor          ", "  -relay-factor=N        ").Replace(text)
}

// serfExamples are what the help text of one of serf's commands lacks.
func serfExamples(name string) []string {
	return map[string][]string{
		"force-leave":  {"agentctl force-leave gateway-7", "agentctl force-leave -prune gateway-7"},
		"info":         {"agentctl info", "agentctl info -format=json"},
		"join":         {"agentctl join 10.0.0.5", "agentctl join -replay 10.0.0.5:7946 10.0.0.6:7946"},
		"keygen":       {"agentctl agent -encrypt=\"$(agentctl keygen)\""},
		"keys":         {"agentctl keys -list", "agentctl keys -install=\"$KEY\" && agentctl keys -use=\"$KEY\""},
		"leave":        {"agentctl leave"},
		"members":      {"agentctl members", "agentctl members -status=failed -format=json", "agentctl members -tag role='gate.*' -detailed"},
		"monitor":      {"agentctl monitor -log-level=debug"},
		"query":        {"agentctl query uptime ''", "agentctl query -node=gateway-7 -timeout=2s uptime ''"},
		"reachability": {"agentctl reachability -verbose"},
		"rtt":          {"agentctl rtt gateway-7", "agentctl rtt gateway-7 gateway-8"},
		"tags":         {"agentctl tags -set zone=b", "agentctl tags -delete zone"},
	}[name]
}

// renamed is a command of serf's under our name, with examples.
type renamed struct {
	cli.Command
	examples []string
}

func (r renamed) Help() string {
	return rename(r.Command.Help()) + "\n\nExamples:\n\n  " + strings.Join(r.examples, "\n  ")
}
