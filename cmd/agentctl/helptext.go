package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/mitchellh/cli"

	"agentctl/handler/text"
)

// commandHelp is a command's help text, read: what it says of usage and flags
// is the one source of the completions and the man page.
type commandHelp struct {
	name, synopsis string
	usage          []string   // lines, such as "agentctl event [options] NAME"
	words          []string   // that may follow the name, such as "show"
	body           []string   // lines behind the usage
	flags          []flagHelp // in their order
	like           string     // the command whose flags it has too, or ""
}

// flagHelp is a flag as the help text has it.
type flagHelp struct {
	name string // without the dash
	arg  string // what its value looks like; "" for one that needs none
	text string
}

// What lines of a help text look like; made when first asked for, since most
// commands never do.
var (
	// flagLine is the first line of a flag's help: "  -name=ARG   Text". Serf has
	// "  -name key=value  Text", too.
	flagLine = text.LazyRegexp(`^  -([A-Za-z][\w-]*)(?:=(\S+)| (\S+=\S+|key))?(?:\s+(\S.*))?$`)
	// likeLine says that a command has another's flags beside its own.
	likeLine = text.LazyRegexp(`^  All options of "agentctl (\w+)"\.`)
	// choice is one word, or some of which one is to be taken.
	choice = text.LazyRegexp(`^[a-z]+(\|[a-z]+)*$`)
)

// readHelp reads the help text of one command.
func readHelp(name string, cmd cli.Command) commandHelp {
	h := commandHelp{name: name, synopsis: cmd.Synopsis()}
	lines := strings.Split(strings.TrimSpace(cmd.Help()), "\n")
	for len(lines) > 0 {
		line := strings.TrimSpace(strings.TrimPrefix(lines[0], "Usage: "))
		if !strings.HasPrefix(line, "agentctl "+name) {
			break
		}
		h.usage = append(h.usage, line)
		if words := strings.Fields(line); len(words) > 2 && choice().MatchString(words[2]) {
			h.words = append(h.words, strings.Split(words[2], "|")...)
		}
		lines = lines[1:]
	}
	h.body = lines
	for _, line := range lines {
		if m := likeLine().FindStringSubmatch(line); m != nil {
			h.like = m[1]
			continue
		}
		if f, ok := readFlag(line); ok {
			h.flags = append(h.flags, f)
			continue
		}
		// What is indented deeper goes on with the flag above it.
		if n := len(h.flags); n > 0 && strings.HasPrefix(line, "     ") {
			f := &h.flags[n-1]
			f.text = strings.TrimSpace(f.text + " " + strings.TrimSpace(line))
		}
	}
	return h
}

func readFlag(line string) (flagHelp, bool) {
	m := flagLine().FindStringSubmatch(line)
	if m == nil || strings.HasPrefix(m[4], "takes ") { // a sentence
		return flagHelp{}, false
	}
	return flagHelp{name: m[1], arg: m[2] + m[3], text: m[4]}, true
}

// brief is the beginning of a flag's text, for a line of a menu.
func (f flagHelp) brief() string {
	text, _, _ := strings.Cut(f.text, ". ")
	text, _, _ = strings.Cut(text, "; ")
	return strings.TrimSuffix(text, ".")
}

// values are what the flag can be, where there are few: "text|json".
func (f flagHelp) values() []string {
	if arg := strings.Trim(f.arg, "[]"); choice().MatchString(arg) && strings.Contains(arg, "|") {
		return strings.Split(arg, "|")
	}
	return nil
}

// allHelp are the help texts of all commands, by name, each with the flags that
// it shares with another.
func allHelp() []commandHelp {
	cs := commands()
	var all []commandHelp
	byName := map[string]commandHelp{}
	for _, name := range slices.Sorted(maps.Keys(cs)) {
		cmd, err := cs[name]()
		if err != nil {
			continue // none of ours has one
		}
		h := readHelp(name, cmd)
		byName[name] = h
		all = append(all, h)
	}
	for i := range all {
		h := &all[i]
		for _, f := range byName[h.like].flags {
			if !slices.ContainsFunc(h.flags, func(own flagHelp) bool { return own.name == f.name }) {
				h.flags = append(h.flags, f)
			}
		}
	}
	return all
}
