package main

import (
	"encoding/json"
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
	if u.hasLines(s) {
		u.Ui.Error(rename(u.safe(s)))
		return
	}
	lines := strings.Split(strings.ReplaceAll(s, "\t", "  "), "\n")
	for i := range lines {
		lines[i] = u.safe(lines[i])
	}
	u.Ui.Error(rename(strings.Join(lines, "\n    ")))
}

func (u safeUI) hasLines(s string) bool {
	for _, begin := range ownLines {
		if strings.HasPrefix(s, begin) {
			return true
		}
	}
	return u.lines
}

func (u safeUI) safe(s string) string {
	switch {
	case u.lines && strings.HasPrefix(s, "{"):
		return logs.EscapeJSON(s)
	case u.hasLines(s):
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
