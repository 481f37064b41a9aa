package shim

import (
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// scriptLine is a line of a script that Kong writes.
type scriptLine struct {
	re       *regexp.Regexp // matches the line without blanks at its ends and, in Lua, the backslash
	optional bool
}

func scriptLines(patterns ...string) []scriptLine {
	lines := make([]scriptLine, len(patterns))
	for i, p := range patterns {
		p, optional := strings.CutPrefix(p, "?")
		lines[i] = scriptLine{regexp.MustCompile("^(?:" + p + ")$"), optional}
	}
	return lines
}

const (
	scriptAddr = `(?P<host>[0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])`
	scriptPort = `(?P<port>[0-9]{1,5})`
	scriptPath = `(?P<path>/cluster/events/)`
	// The folder of an interpreter, or none where Kong found it on the PATH.
	scriptFolder = `(?:/(?:[0-9A-Za-z_.+-]+/)*)?`
)

// scriptHead is the shell part with which the scripts of all generations begin. It
// makes the body from standard input.
var scriptHead = []string{
	"#!/bin/sh",
	"PAYLOAD=`cat`(?: # Read from stdin)?",
	`if \[ "\$SERF_EVENT" != "user" \]; then`,
	`PAYLOAD="\{\\"type\\":\\"\$\{SERF_EVENT\}\\",\\"entity\\": ?\\"\$\{PAYLOAD\}\\"\}"`,
	"fi",
	`?echo \$PAYLOAD > /tmp/payload`,
}

// withLuaJIT is the form of a script that pipes one line of Lua into LuaJIT, where
// the payload is put into a Lua string like this.
func withLuaJIT(payload string) []scriptLine {
	return scriptLines(append(slices.Clip(scriptHead),
		`COMMAND='require\("kong\.tools\.http_client"\)\.post\("http://`+scriptAddr+`:`+scriptPort+scriptPath+
			`", `+payload+`, \{\["content-type"\] = "application/json"\}\)'`,
		`echo \$COMMAND \| `+scriptFolder+`luajit`,
		`?exit 0`,
	)...)
}

// kongScripts are the forms of whole scripts, one for each generation of Kong. They
// are compiled when first needed, because most commands never need them.
var kongScripts = sync.OnceValue(func() [][]scriptLine {
	return [][]scriptLine{
		// 0.9 and 0.10: a Lua text in a variable, run by OpenResty.
		scriptLines(append(slices.Clip(scriptHead),
			`CMD="`,
			`local http = require 'resty.http'`,
			`local client = http.new\(\)`,
			`?client:set_timeout\(5000\)`,
			`client:connect\('`+scriptAddr+`', `+scriptPort+`\)`,
			`client:request \{`,
			`method = 'POST',`,
			`path = '`+scriptPath+`',`,
			`body = \[=\[\$\{PAYLOAD\}\]=\],`,
			`headers = \{`,
			`\['content-type'\] = 'application/json'`,
			`\}`,
			`\}"`,
			scriptFolder+`resty -e "\$CMD"`,
			`?exit 0`,
		)...),
		// Before the release of 0.9: one line for OpenResty, with Kong's own HTTP
		// client.
		scriptLines(append(slices.Clip(scriptHead),
			scriptFolder+`resty -e "require\('kong\.tools\.http_client'\)\.post\('http://`+scriptAddr+`:`+scriptPort+scriptPath+
				`', \[=\['\$\{PAYLOAD\}'\]=\], \{\['content-type'\] = 'application/json'\}\)"`,
			`?exit 0`,
		)...),
		withLuaJIT(`\[=\['\$\{PAYLOAD\}'\]=\]`), // 0.7 and 0.8
		withLuaJIT(`\[\['\$\{PAYLOAD\}'\]\]`),   // 0.6
	}
})

// KongScript tells whether a text is, line by line, the event script that Kong 0.6 to
// 0.10 writes when it starts. If so, it returns the URL to which the script posts. A
// single character that no such script has makes it return false: the script may do
// something else then, and has to be run.
func KongScript(text string) (url string, ok bool) {
	var lines []string
	inLua := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if inLua = inLua || line == `CMD="\`; inLua && line != "" {
			bare, goesOn := strings.CutSuffix(line, `\`)
			line = strings.TrimSpace(bare)
			if inLua = line != `}"`; inLua != goesOn {
				return "", false
			}
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	for _, form := range kongScripts() {
		if found, ok := matchScript(lines, form); ok {
			host := strings.Trim(found["host"], "[]")
			if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
				host = "127.0.0.1" // Kong listens on all addresses, this one included
			}
			return "http://" + net.JoinHostPort(host, found["port"]) + found["path"], true
		}
	}
	return "", false
}

// matchScript compares lines with a form, and returns the named parts of the lines.
func matchScript(lines []string, form []scriptLine) (map[string]string, bool) {
	found := map[string]string{}
	for _, want := range form {
		if len(lines) == 0 {
			if want.optional {
				continue
			}
			return nil, false
		}
		m := want.re.FindStringSubmatch(lines[0])
		if m == nil {
			if want.optional {
				continue
			}
			return nil, false
		}
		for i, name := range want.re.SubexpNames() {
			if name != "" {
				found[name] = m[i]
			}
		}
		lines = lines[1:]
	}
	return found, len(lines) == 0
}
