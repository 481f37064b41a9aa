package main

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/mitchellh/cli"

	"agentctl/agent/logs"
)

// jsonText is indented JSON of v without characters that a terminal would act on or not
// show. They can stand only in texts, where JSON has an escape for them.
func jsonText(v any) (string, error) {
	data, err := json.MarshalIndent(v, "", "  ")
	return logs.EscapeJSON(string(data)), err
}

// safeUI is the Ui of serf's commands as agentctl. They print names, tags and log lines
// of others as they are. Here each of their texts is one line and has nothing in it that
// a terminal acts on, so that nobody can forge another line.
type safeUI struct {
	cli.Ui
	lines bool // the texts of this command have lines, and nothing of the cluster
}

// ownLines are the beginnings of serf's own texts of several lines. A text with something
// of the cluster in it never begins with that.
var ownLines = []string{"Usage: ", "\nTroubleshooting tips:", "Remote side ended the monitor!"}

func (u safeUI) Output(s string) { u.Ui.Output(rename(u.safe(s))) }
func (u safeUI) Info(s string)   { u.Ui.Info(u.safe(s)) }

// Error indents the further lines of an error, which may be a list.
func (u safeUI) Error(s string) {
	if isOwn(s) {
		u.Ui.Error(rename(escapedLines([]byte(s))))
		return
	}
	u.Ui.Error(rename(indented(strings.ReplaceAll(s, "\t", "  "))))
}

// isOwn tells whether a text is serf's own, with lines.
func isOwn(s string) bool {
	return slices.ContainsFunc(ownLines, func(begin string) bool { return strings.HasPrefix(s, begin) })
}

// indented is text in full with its further lines indented, so that none of them passes
// for one of ours.
func indented(text string) string {
	return strings.ReplaceAll(escapedLines([]byte(text)), "\n", "\n    ")
}

func (u safeUI) safe(s string) string {
	switch {
	case u.lines && strings.HasPrefix(s, "{"):
		return logs.EscapeJSON(s)
	case u.lines || isOwn(s):
		return escapedLines([]byte(s))
	}
	entry, tab := strings.CutPrefix(s, "\t") // of a list
	entry = oneLine(entry)
	if tab {
		entry = "\t" + entry
	}
	return entry
}

// oneLine is text in full in one line, with all escaped that a terminal would act on.
func oneLine(text string) string {
	return strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(escapedLines([]byte(text)))
}
